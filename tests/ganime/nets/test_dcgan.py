"""The two nets: shapes, the paper's rules for layers and initialisation, and the cost of each layer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ganime.config import IMAGE_SIZES, NORMS, ModelConfig
from ganime.drawing.layers import layer_costs
from ganime.errors import ConfigError
from ganime.nets.dcgan import LUMA_WEIGHTS, Discriminator, Generator, downsample, lanczos_matrix, subsample_chroma

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
STD = 0.02


def tiny_config(size: int = 32, norm: str = "batch") -> ModelConfig:
    return ModelConfig(size, 8, 4, 16, generator_norm=norm, discriminator_norm=norm)


def nets(config: ModelConfig, seed: int = 0) -> tuple[Generator, Discriminator]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator(config), Discriminator(config)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def learned_weight(conv: nn.Module) -> nn.Parameter:
    """The learned weight, which spectral norm stores under another name."""
    return next(parameter for name, parameter in conv.named_parameters() if "weight" in name)


def largest_singular_value(conv: nn.Module) -> float:
    weight = conv.weight.transpose(0, 1) if isinstance(conv, nn.ConvTranspose2d) else conv.weight
    return float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2))


def convolutions(net: nn.Module) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, CONVOLUTIONS)]


@pytest.mark.parametrize("size", IMAGE_SIZES)
@pytest.mark.parametrize("norm", NORMS)
def test_pictures_and_logits_have_the_right_shape_at_every_image_size(size: int, norm: str) -> None:
    generator, discriminator = nets(tiny_config(size, norm))
    pictures = generator(noise(2, 8))
    assert pictures.shape == (2, 3, size, size)
    assert discriminator(pictures).shape == (2,)


def test_pictures_stay_between_minus_one_and_one() -> None:
    generator, _ = nets(tiny_config())
    pictures = generator(noise(4, 8) * 1000)
    assert pictures.abs().max() <= 1


@pytest.mark.parametrize("size", IMAGE_SIZES)
@pytest.mark.parametrize("norm", NORMS)
def test_nets_are_convolutions_without_dense_or_pooling_layers(size: int, norm: str) -> None:
    allowed = (*CONVOLUTIONS, nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU)
    generator, discriminator = nets(tiny_config(size, norm))
    for net, wanted in ((generator, nn.ConvTranspose2d), (discriminator, nn.Conv2d)):
        leaves = [layer for part in net.modules() if isinstance(part, nn.Sequential) for layer in part]
        leaves = [layer for layer in leaves if not isinstance(layer, nn.Sequential)]
        assert leaves
        assert all(isinstance(layer, allowed) for layer in leaves)
        assert not any(isinstance(module, nn.Linear | nn.MaxPool2d | nn.AvgPool2d) for module in net.modules())
        found = convolutions(net)
        assert len(found) == int(math.log2(size)) - 1
        assert all(isinstance(conv, wanted) and conv.kernel_size == (4, 4) for conv in found)
        assert sorted(conv.stride[0] for conv in found) == [1] + [2] * (len(found) - 1)


def test_picture_side_layers_carry_no_batch_norm() -> None:
    generator, discriminator = nets(tiny_config(norm="batch"))
    assert isinstance(generator.to_rgb, nn.ConvTranspose2d)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.from_rgb)
    for net in (generator, discriminator):
        assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == len(convolutions(net)) - 2 + (
            net is generator
        )


@pytest.mark.parametrize("norm", NORMS)
def test_convolutions_start_normal_with_std_two_hundredths_and_zero_biases(norm: str) -> None:
    config = ModelConfig(64, 64, 32, 256, generator_norm=norm, discriminator_norm=norm)
    for net in nets(config):
        for conv in convolutions(net):
            weight = learned_weight(conv).detach()
            allowed = 5 / math.sqrt(weight.numel())  # five standard errors
            assert abs(weight.mean()) < STD * allowed
            assert abs(weight.std() - STD) < STD * allowed
            assert conv.bias is None or not conv.bias.any()


def test_batch_norm_starts_around_one_with_zero_biases() -> None:
    generator, discriminator = nets(ModelConfig(64, 64, 32, 256, discriminator_norm="batch"))
    for net in (generator, discriminator):
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        scales = torch.cat([norm.weight.detach() for norm in norms])
        assert abs(scales.mean() - 1) < STD * 5 / math.sqrt(len(scales))
        assert abs(scales.std() - STD) < STD * 5 / math.sqrt(len(scales))
        assert not any(norm.bias.any() for norm in norms)


def test_spectral_norm_keeps_every_layer_at_most_one() -> None:
    generator, discriminator = nets(tiny_config(norm="spectral"))
    for step in range(60):
        discriminator(generator(noise(4, 8, seed=step)))
    for net in (generator, discriminator):
        for conv in convolutions(net.eval()):
            assert largest_singular_value(conv) == pytest.approx(1, abs=0.02)


def test_spectral_norm_holds_before_the_first_training_step() -> None:
    for net in nets(tiny_config(norm="spectral")):
        for conv in convolutions(net.eval()):
            assert largest_singular_value(conv) == pytest.approx(1, abs=0.1)


def test_sixty_four_pixel_generator_has_the_topology_worked_out_by_hand() -> None:
    rows = layer_costs(Generator(ModelConfig()))
    assert [row.output for row in rows] == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert [row.multiply_adds for row in rows] == [1_048_576, 33_554_432, 33_554_432, 33_554_432, 3_145_728]
    assert sum(row.multiply_adds for row in rows) == 104_857_600
    assert [row.parameters for row in rows] == [1_049_600, 2_097_664, 524_544, 131_200, 3_075]
    assert {row.kind for row in rows} == {"ConvTranspose2d"}


def test_generator_whose_last_layer_keeps_the_side_has_a_hidden_layer_more() -> None:
    config = ModelConfig(base_channels=32, discriminator_channels=64, rgb_stride=1)
    generator = Generator(config)
    rows = layer_costs(generator)
    assert [row.output for row in rows] == [
        (512, 4, 4),
        (256, 8, 8),
        (128, 16, 16),
        (64, 32, 32),
        (32, 64, 64),
        (3, 64, 64),
    ]
    assert rows[-1].multiply_adds == 64 * 64 * 9 * 32 * 3
    assert rows[-1].parameters == 9 * 32 * 3 + 3
    assert rows[-1].kind == "Conv2d"
    assert generator(noise(2, 128)).shape == (2, 3, 64, 64)
    assert [row.output for row in layer_costs(Discriminator(config))] == [
        row.output for row in layer_costs(Discriminator(ModelConfig()))
    ]
    with pytest.raises(ConfigError, match="rgb_stride must be one of 1, 2; got 3"):
        ModelConfig(rgb_stride=3)


def test_drawing_larger_than_the_largest_side_is_refused() -> None:
    assert replace(tiny_config(128), supersampling=2).channels == tiny_config(256).channels
    with pytest.raises(ConfigError, match="draws 512 px; at most 256 are drawn"):
        replace(tiny_config(128), supersampling=4)


@pytest.mark.parametrize("times", [2, 4])
def test_supersampling_draws_larger_and_downsamples_as_pillow_does(times: int) -> None:
    config = tiny_config(32)
    large = nets(replace(config, image_size=32 * times))[0].eval()
    small = Generator(replace(config, supersampling=times)).eval()
    small.load_state_dict(large.state_dict())
    pictures = ((large(noise(3, 8)) * 20).clamp(-1, 1) + 1) * 127.5  # (3, 3, 32 * times, 32 * times), with hard edges
    pictures = pictures.detach().round().byte()
    wanted = [
        Image.fromarray(face.permute(1, 2, 0).numpy()).resize((32, 32), Image.Resampling.LANCZOS) for face in pictures
    ]
    made = (downsample(pictures / 127.5 - 1, times) + 1) * 127.5
    assert np.abs(made.permute(0, 2, 3, 1).numpy() - np.stack(wanted)).mean() < 0.5
    assert torch.equal(small(noise(2, 8)), downsample(large(noise(2, 8)), times))
    assert Discriminator(small.config)(small(noise(2, 8))).shape == (2,)


def test_a_filter_cached_in_inference_mode_can_be_used_with_gradients() -> None:
    config = replace(tiny_config(32), supersampling=2)
    generator = Generator(config).eval()
    lanczos_matrix.cache_clear()
    with torch.inference_mode():
        generator(noise(1, 8))
    z = noise(1, 8).requires_grad_(True)
    generator(z).sum().backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0


def test_sixty_four_pixel_discriminator_has_the_topology_worked_out_by_hand() -> None:
    rows = layer_costs(Discriminator(ModelConfig()))
    assert [row.output for row in rows] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (1, 1, 1)]
    assert [row.multiply_adds for row in rows] == [3_145_728, 33_554_432, 33_554_432, 33_554_432, 8_192]
    assert [row.parameters for row in rows] == [3_136, 131_200, 524_544, 2_097_664, 8_193]
    assert {row.kind for row in rows} == {"Conv2d"}


@pytest.mark.parametrize("size", IMAGE_SIZES)
@pytest.mark.parametrize("norm", NORMS)
def test_summary_counts_every_parameter_once(size: int, norm: str) -> None:
    for net in nets(tiny_config(size, norm)):
        rows = layer_costs(net)
        assert sum(row.parameters for row in rows) == sum(parameter.numel() for parameter in net.parameters())
        assert len(rows) == len(convolutions(net))
        assert len({row.name for row in rows}) == len(rows)


def test_summary_does_not_change_the_net() -> None:
    for net in nets(tiny_config(norm="batch")):
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        layer_costs(net.train())
        assert net.training
        assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("norm", NORMS)
def test_gradient_reaches_every_parameter(norm: str) -> None:
    generator, discriminator = nets(tiny_config(norm=norm))
    discriminator(generator(noise(4, 8))).square().sum().backward()
    for net in (generator, discriminator):
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.any(), name


def test_batch_size_does_not_change_the_output_of_nets_in_eval_mode() -> None:
    generator, discriminator = (net.eval() for net in nets(tiny_config()))
    z = noise(8, 8)
    together = generator(z)
    alone = torch.cat([generator(one[None]) for one in z])
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(discriminator(together), torch.cat([discriminator(one[None]) for one in together]), atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_coarse_colours_keep_the_luma_and_lose_fine_detail(seed: int) -> None:
    pictures = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 0.4  # (3, 3, 16, 16)
    soft = subsample_chroma(pictures, 2)
    luma = torch.tensor(LUMA_WEIGHTS)[:, None, None]
    torch.testing.assert_close((soft * luma).sum(1), (pictures * luma).sum(1))
    colours = [image - (image * luma).sum(1, keepdim=True) for image in (pictures, soft)]
    halves = [torch.nn.functional.avg_pool2d(colour, 2) for colour in colours]
    rough = [
        (colour - torch.nn.functional.interpolate(half, scale_factor=2.0)).std()
        for colour, half in zip(colours, halves, strict=True)
    ]
    assert rough[1] < 0.5 * rough[0]
    assert subsample_chroma(pictures, 1) is pictures


def test_coarse_colours_are_those_of_a_picture_saved_as_jpeg() -> None:
    """Grey stays grey, a picture of one colour stays it, and nothing leaves [-1, 1]."""
    grey = torch.rand(2, 1, 8, 8).expand(2, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(subsample_chroma(grey, 2), grey)
    plain = torch.tensor([0.9, -0.3, 0.1])[None, :, None, None].expand(1, 3, 8, 8)
    torch.testing.assert_close(subsample_chroma(plain, 2), plain)
    assert subsample_chroma(torch.rand(4, 3, 8, 8).round() * 2 - 1, 2).abs().max() <= 1


def test_a_generator_subsamples_colours_by_its_chroma_stride() -> None:
    config = tiny_config(32)
    sharp, soft = Generator(config).eval(), Generator(replace(config, chroma_stride=2)).eval()
    soft.load_state_dict(sharp.state_dict())
    z = torch.randn(2, config.latent_dim, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(soft(z), subsample_chroma(sharp(z), 2))
    assert not torch.equal(soft(z), sharp(z))
    with pytest.raises(ConfigError, match="chroma_stride must be one of 1, 2; got 4"):
        replace(config, chroma_stride=4)
