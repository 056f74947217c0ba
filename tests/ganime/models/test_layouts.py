"""One test for each layout of a generator that can be imported: what was found, and that it draws the same pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from ganime.errors import CheckpointError, ConfigError
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.importing import ImportOptions, import_generator
from ganime.nets.dcgan import Generator
from tests.ganime.models.foreign_nets import (
    LATENT,
    Conditional,
    dcgan,
    projected,
    trained,
    tripling,
    upsampling,
    wide_kernels,
    with_labels,
)


def latents() -> torch.Tensor:
    return torch.randn(5, LATENT, generator=torch.Generator().manual_seed(7))


def imported(net: nn.Module, folder: Path, name: str = "netG.pth", **options: object) -> Checkpoint:
    torch.save(net.state_dict(), folder / name)
    return import_generator(folder / name, ImportOptions(**options))  # pyright: ignore[reportArgumentType]


def difference(generator: Generator, net: nn.Module) -> float:
    """The largest difference of pictures in levels of 255; a grey original is compared in all colours."""
    with torch.no_grad():
        wanted, drawn = net(latents()), generator(latents())
    if isinstance(net, nn.Sequential) and isinstance(net[-1], nn.Sigmoid):
        wanted = 2 * wanted - 1
    assert wanted.std() > 0.02
    return float((drawn - wanted.expand_as(drawn)).abs().max()) * 127.5


LAYOUTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "the PyTorch example": (dcgan, 32),
    "linear first": (projected, 32),
    "linear first, BatchNorm1d": (lambda: projected("1d"), 32),
    "linear first, BatchNorm2d": (lambda: projected("2d"), 32),
    "upsample and 3x3": (upsampling, 32),
    "bilinear upsample and 3x3": (lambda: upsampling("bilinear"), 32),
    "5x5 transposed": (wide_kernels, 32),
    "a last 5x5 of stride 3": (tripling, 96),
    "extra 3x3 layers": (lambda: dcgan(extra=2), 32),
    "no first norm": (lambda: dcgan(first_norm=False), 32),
    "no last norm": (lambda: dcgan(last_norm=False), 32),
    "InstanceNorm": (lambda: dcgan(norm=lambda n, eps: nn.InstanceNorm2d(n, eps, affine=True)), 32),
    "free widths": (lambda: dcgan(widths=(27, 40, 9)), 32),
    "one channel": (lambda: dcgan(channels=1), 32),
    "512 px": (lambda: dcgan(widths=(16, 12, 8, 8, 4, 4, 4)), 512),
    "LeakyReLU": (lambda: dcgan(lambda: nn.LeakyReLU(0.2)), 32),
    "ELU": (lambda: dcgan(nn.ELU), 32),
}


SLOW = ("512 px", "upsample and 3x3", "bilinear upsample and 3x3")


@pytest.mark.parametrize(
    "layout", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in LAYOUTS]
)
def test_a_generator_of_this_layout_draws_the_same_pictures(layout: str, tmp_path: Path) -> None:
    make, size = LAYOUTS[layout]
    net = trained(make(), count=64 if size < 512 else 16)
    checkpoint = imported(net, tmp_path)
    assert checkpoint.generator.config.image_size == size
    assert difference(checkpoint.generator, net) < 0.05, checkpoint.training
    save_checkpoint(checkpoint, tmp_path / "model")
    loaded = load_checkpoint(tmp_path / "model")
    assert loaded.revision == checkpoint.revision
    assert loaded.training == checkpoint.training
    with torch.inference_mode():
        assert (loaded.prepared(latents()) - checkpoint.generator(latents())).abs().max() < 0.02  # stored in fp16


@pytest.mark.parametrize("entry", ["times", "before", "behind"])
def test_a_class_is_chosen_and_worked_into_the_weights(entry: str, tmp_path: Path) -> None:
    net = trained(Conditional(entry), with_labels)
    for label in (0, 3):
        generator = imported(net, tmp_path, label=label).generator
        assert generator.config.latent_dim == LATENT
        with torch.no_grad():
            wanted = net(latents(), torch.full((5,), label))
            assert (generator(latents()) - wanted).abs().max() * 127.5 < 0.05
    with pytest.raises(CheckpointError, match="--label 0 to 3"):
        imported(net, tmp_path, label=4)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "LeakyReLU 0.2": lambda: nn.LeakyReLU(0.2),
    "LeakyReLU 0.1": lambda: nn.LeakyReLU(0.1),
    "ELU": nn.ELU,
    "SELU": nn.SELU,
    "GELU": nn.GELU,
    "SiLU (Swish)": nn.SiLU,
    "tanh": nn.Tanh,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_activation_is_told_from_the_statistics_of_the_norms(name: str, tmp_path: Path) -> None:
    found = imported(trained(dcgan(ACTIVATIONS[name])), tmp_path).training
    assert found["activation"].startswith(f"{name} (mismatch 0.0"), found


@pytest.mark.slow
def test_a_norm_of_another_eps_is_told_from_the_statistics(tmp_path: Path) -> None:
    assert imported(trained(upsampling()), tmp_path).training["norm_eps"] == "1e-05, 0.8"


def test_the_eps_of_the_caller_is_used(tmp_path: Path) -> None:
    net = trained(dcgan(eps=1e-3))
    assert difference(imported(net, tmp_path, norm_eps=1e-3).generator, net) < 0.05


def test_the_activation_of_the_caller_is_used(tmp_path: Path) -> None:
    net = trained(dcgan(lambda: nn.LeakyReLU(0.2)))
    checkpoint = imported(net, tmp_path, activation="relu")
    assert {block.activation for block in checkpoint.generator.config.blocks[:-1]} <= {"relu"}
    assert difference(checkpoint.generator, net) > 1


def test_statistics_that_match_nothing_are_told(tmp_path: Path) -> None:
    net = trained(dcgan())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.add_(3 * module.running_var.sqrt())
    checkpoint = imported(net, tmp_path)
    assert "NOTHING MATCHES" in checkpoint.training["match"]
    assert "ReLU" in checkpoint.training["activation"]


def test_latents_from_minus_one_to_one_become_normal_ones_of_the_same_spread(tmp_path: Path) -> None:
    net = trained(dcgan(), lambda count: (torch.rand(count, LATENT) * 2 - 1,))
    checkpoint = imported(net, tmp_path)
    assert "from -1 to 1" in checkpoint.training["latent"]
    z = latents()
    with torch.no_grad():
        assert (checkpoint.generator(z) - net(z / 3**0.5)).abs().max() < 1e-4


def test_a_sigmoid_is_taken_for_one_by_the_caller_or_by_saturated_pictures(tmp_path: Path) -> None:
    net = trained(dcgan(output=nn.Sigmoid))
    assert difference(imported(net, tmp_path, output="sigmoid").generator, net) < 0.05
    with torch.no_grad():
        net[-2].weight.mul_(8)  # most pixels near black or white, as tanh would drive them
    checkpoint = imported(net, tmp_path)
    assert checkpoint.training["output"].startswith("sigmoid")
    assert "--output" in checkpoint.training["output"]


@pytest.mark.parametrize("options", [{"activation": "wavy"}, {"output": "softmax"}, {"norm_eps": -1.0}])
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        ImportOptions(**options)  # pyright: ignore[reportArgumentType]


def test_an_unsupported_size_is_refused_with_what_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="32 px"):
        imported(trained(dcgan()), tmp_path, size=48)
