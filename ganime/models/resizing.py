"""Changes the image size of a trained model so that it starts with what it has learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.config import IMAGE_SIZES, ModelConfig
from ganime.errors import ConfigError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.averaging import settle_statistics
from ganime.nets.dcgan import Discriminator, Generator, Net
from ganime.shapes import Float

BOTH_SIGNS = torch.cat([torch.eye(3), 0 - torch.eye(3)])  # (6, 3); 0 minus it, so that no 0 is negative
RGB_CHANNELS = 6  # channels: red, green and blue, each as it is and negated, since ReLU cuts one half of each off
BATCH_NORM_EPS = 1e-5
POWER_ITERATIONS = 32  # until spectral norm knows a weight that was put in place
FIT_FACES = 64  # to fit a layer on
FIT_RIDGE = 1e-4  # of the mean square of what the layer sees
WHITEST = 0.9995  # the inverse of tanh has no end at 1
FLATTEST = 1e-3  # slope of tanh that still counts


def resize(start: Checkpoint, image_size: int) -> Checkpoint:
    """Grow or shrink a model to `image_size` px, or return it as it is. Raises ConfigError if that is impossible."""
    check_resizable(start, image_size)
    while start.generator.config.image_size < image_size:
        start = grown(start)
    while start.generator.config.image_size > image_size:
        start = shrunk(start)
    return start


def check_resizable(start: Checkpoint, image_size: int) -> None:
    """Raise ConfigError, at once, where `resize` would: it fits layers, which takes long."""
    config = start.generator.config
    if config.blocks:
        return check_trainable(start, image_size)
    replace(config, image_size=image_size, supersampling=1)  # raises where there is no such size
    while config.image_size < image_size:
        config = grown_config(start.name, config)
    while config.image_size > image_size:
        config = shrunk_config(start.name, config)
    return None


def check_trainable(start: Checkpoint, image_size: int) -> None:
    """Raise ConfigError unless a model with blocks of its own can be trained at this size."""
    own = start.generator.config.image_size
    if own not in IMAGE_SIZES:
        sizes = ", ".join(map(str, IMAGE_SIZES))
        raise ConfigError(f"{start.name} draws {own} px; only models of {sizes} px can be trained.")
    if own != image_size:
        raise ConfigError(
            f"{start.name} was imported with layers of its own and draws {own} px; only a plain DCGAN can become one "
            f"of {image_size} px. Train it at {own} px, or begin from scratch."
        )


def grown(start: Checkpoint) -> Checkpoint:
    """`start` with a layer added to both nets, next to the picture, so that it draws twice the side.

    The generator begins by drawing what it drew, magnified bilinearly (coarse colours half as coarse, where the last
    layer is the paper's), or as large as it drew already if that was made smaller; the discriminator by seeing pictures
    at half their side. Channels that have no part in this begin afresh (Net2Net, Chen et al. 2016, arXiv:1511.05641;
    growing, Karras et al. 2018, arXiv:1710.10196). Raises ConfigError where the model cannot grow so.
    """
    old = start.generator.config
    config = grown_config(start.name, old)
    with seeded():
        if old.supersampling > 1:
            generator = reshaped(start.generator, config)
        else:
            draws = fit_doubled(start.generator) if old.rgb_stride == 1 else last_layer(start.generator)
            generator = with_layer(start.generator, config, *draws)
        discriminator = start.discriminator and grown_discriminator(start.discriminator, config)
    return replace(start, generator=generator, discriminator=discriminator, folder=None)


def grown_config(name: str, old: ModelConfig) -> ModelConfig:
    """The configuration of a model once it has grown. name: of the model. Raises ConfigError as `grown`."""
    larger = old.supersampling > 1
    config = replace(
        old,
        image_size=old.image_size * 2,
        supersampling=max(1, old.supersampling // 2),
        base_channels=old.base_channels if larger else max(1, old.base_channels // 2),
        discriminator_channels=max(1, old.judging_channels[0] // 2),
    )
    inner = config.channels[: len(old.channels)]
    check_shapes(name, old, config, old.channels == inner and old.judging_channels == config.judging_channels[1:])
    if config.judging_channels[0] < RGB_CHANNELS or (config.channels[-1] < RGB_CHANNELS and not larger):
        raise ConfigError(
            f"{name} has {old.channels[-1]} channels next to the picture, {old.judging_channels[0]} in the "
            f"discriminator; to grow, both must be at least {2 * RGB_CHANNELS}. Begin from scratch."
        )
    return config


def shrunk(start: Checkpoint) -> Checkpoint:
    """`start` so that it draws half the side: as it did, and then made smaller (`supersampling`).

    The discriminator loses a layer, and gets a new first one, fitted to the output of its first two. It keeps its
    features, but has to learn again how to judge. Raises ConfigError if the model cannot shrink.
    """
    config = shrunk_config(start.name, start.generator.config)
    with seeded():
        generator = reshaped(start.generator, config)
        discriminator = start.discriminator and shrunk_discriminator(start.discriminator, generator, config)
    return replace(start, generator=generator, discriminator=discriminator, folder=None)


def shrunk_config(name: str, old: ModelConfig) -> ModelConfig:
    """The configuration of a model once it has shrunk. name: of the model. Raises ConfigError as `shrunk`."""
    size, times = old.image_size // 2, old.supersampling * 2
    config = replace(old, image_size=size, supersampling=times, discriminator_channels=old.judging_channels[1])
    check_shapes(name, old, config, old.judging_channels[1:] == config.judging_channels)
    return config


def check_shapes(name: str, old: ModelConfig, config: ModelConfig, fits: bool) -> None:
    """Raise ConfigError if a model cannot be given that shape. name, old: of the model."""
    size = config.image_size
    if (old.generator_norm, old.discriminator_norm) != ("batch", "spectral"):
        raise ConfigError(
            f"{name} has {old.generator_norm} norm in the generator and {old.discriminator_norm} norm in the "
            f"discriminator; only a model with batch and spectral norm can become one of {size} px. Begin from scratch."
        )
    if not fits:
        raise ConfigError(
            f"{name} has layers of {list(old.channels)} channels, and of {list(old.judging_channels)} in the "
            f"discriminator; to become one of {size} px, they must halve evenly. Begin from scratch."
        )


@contextmanager
def seeded() -> Iterator[None]:
    """Random numbers are the same each time, and the global random state does not change."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def reshaped(old: Net, config: ModelConfig) -> Net:
    """A network with the same weights and another configuration."""
    net = type(old)(config)
    net.load_state_dict(old.state_dict())
    return net.eval().requires_grad_(isinstance(net, Discriminator))


def take_over(layers: Sequence[nn.Module], known: Sequence[nn.Module]) -> None:
    """Give each of these layers the weights and statistics of the known one at the same place."""
    for layer, other in zip(layers, known, strict=True):
        layer.load_state_dict(other.state_dict())


def last_layer(generator: Generator) -> tuple[Float[Tensor, "c 3 4 4"], Float[Tensor, " 3"]]:
    """The weight and bias of the last layer."""
    known = generator.state_dict()
    return known["to_rgb.weight"], known["to_rgb.bias"]


def with_layer(
    old: Generator, config: ModelConfig, draws: Float[Tensor, "c 3 4 4"], bias: Float[Tensor, " 3"]
) -> Generator:
    """`old` with another hidden layer, of which six channels carry what `draws` makes, and a last one that shows it."""
    net = Generator(config)
    take_over([net.stem, *net.blocks.children()][:-1], [old.stem, *old.blocks.children()])
    weights = net.state_dict()  # shares its memory with the net
    added = f"blocks.{len(net.blocks) - 1}"
    weights[f"{added}.0.weight"][:, :RGB_CHANNELS] = torch.cat([draws, -draws], 1)
    weights["to_rgb.weight"].zero_()
    if config.rgb_stride == 1:
        weights["to_rgb.weight"][:, :RGB_CHANNELS, 1, 1] = BOTH_SIGNS.T
    else:
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])  # magnifies by two, bilinearly
        weights["to_rgb.weight"][:RGB_CHANNELS] = BOTH_SIGNS[:, :, None, None] * torch.outer(ramp, ramp)
    settle_statistics(net.eval(), part=net.blocks[-1])  # the others draw on as they did
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, scale, shift = (weights[f"{added}.1.{name}"][:RGB_CHANNELS] for name in names)
    scale.copy_((variance + BATCH_NORM_EPS).sqrt())  # these channels leave BatchNorm as they came
    shift.copy_(mean + torch.cat([bias, -bias]))
    return net.eval().requires_grad_(False)


def grown_discriminator(old: Discriminator, config: ModelConfig) -> Discriminator:
    """A discriminator whose second layer starts with the output that the first layer of `old` has at half the size."""
    net = Discriminator(config)
    take_over(net.layers()[2:], old.layers()[1:])
    weights, known = net.state_dict(), old.state_dict()
    original = "0.parametrizations.weight.original"
    halves, sees, saw = f"from_rgb.{original}", f"blocks.0.{original}", f"from_rgb.{original}"
    weights[halves][:RGB_CHANNELS] = 0
    weights[halves][:RGB_CHANNELS, :, 1:3, 1:3] = 0.25 * BOTH_SIGNS[:, :, None, None]
    weights[sees][:, :RGB_CHANNELS] = torch.cat([known[saw], -known[saw]], 1)
    weights["blocks.0.0.bias"].copy_(known["from_rgb.0.bias"])
    return converged(net)


def shrunk_discriminator(old: Discriminator, generator: Generator, config: ModelConfig) -> Discriminator:
    """The inner layers of `old`, with a new first one fitted to the output of its first two."""
    net = Discriminator(config)
    take_over(net.layers()[1:], old.layers()[2:])
    fit_first(net, old, generator)
    return converged(net)


def converged(net: Discriminator) -> Discriminator:
    """The network in eval mode, after spectral norm has converged for weights that were copied in."""
    for _ in range(POWER_ITERATIONS):  # in training mode each picture is one
        net(torch.zeros(1, 3, net.config.image_size, net.config.image_size))
    return net.eval()


@torch.no_grad()
def fit_first(net: Discriminator, old: Discriminator, generator: Generator) -> None:
    """Give `net`, which has all but two layers of `old`, a first one that sees what they saw in larger pictures."""

    def sample(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        picture = generator(z)  # (1, 3, S, S)
        wanted = old.blocks[0][0](old.from_rgb(F.interpolate(picture, scale_factor=2.0, mode="bilinear")))  # pyright: ignore
        return F.unfold(picture, 4, padding=1, stride=2), wanted.flatten(2), torch.ones_like(wanted.flatten(2)[:, :1])

    solved, bias = least_squares(generator, sample)
    norm = torch.linalg.matrix_norm(solved, 2)  # spectral norm divides the weight by it, and the bias belongs to that
    weights = net.state_dict()  # shares its memory with the net
    first = weights["from_rgb.0.parametrizations.weight.original"]
    first.copy_((solved / norm).T.reshape(first.shape))
    weights["from_rgb.0.bias"].copy_(bias / norm)


@torch.no_grad()
def fit_doubled(old: Generator) -> tuple[Float[Tensor, "c 3 4 4"], Float[Tensor, " 3"]]:
    """A transposed convolution, and its bias, that make of the last map of `old` what it draws, magnified bilinearly.

    Each of the four pixels that come of one sees other 2 x 2 pixels of the map.
    """
    draws, biases = torch.zeros(old.config.channels[-1], 3, 4, 4), []
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):

        def sample(z: Tensor, down: int = down, right: int = right) -> tuple[Tensor, Tensor, Tensor]:
            x = old.blocks(old.stem(z[:, :, None, None]))  # (1, C, S, S), the input of the last layer
            patches = F.unfold(F.pad(x, (1 - right, right, 1 - down, down)), 2)  # (1, 4C, S * S)
            large = F.interpolate(old.drawn(x), scale_factor=2.0, mode="bilinear")
            wanted = large[:, :, down::2, right::2].clamp(-WHITEST, WHITEST).flatten(2)  # (1, 3, S * S)
            sensitivity = (1 - wanted.square() + FLATTEST).square().mean(1, True)  # of tanh, squared; (1, 1, S * S)
            return patches, wanted.atanh(), sensitivity

        solved, bias = least_squares(old, sample)
        pixels = solved.view(-1, 2, 2, 3).permute(0, 3, 1, 2)  # (C, 3, 2, 2)
        draws[:, :, 1 - down :: 2, 1 - right :: 2] = pixels.flip(2, 3)  # a transposed convolution's kernel is mirrored
        biases.append(bias)
    return draws, torch.stack(biases).mean(0)


def least_squares(
    generator: Generator, seen: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
) -> tuple[Float[Tensor, "k c"], Float[Tensor, " c"]]:
    """Weights and bias that make of what is seen of a latent (1, K, P) what is wanted (1, C, P), each place mattering
    that much (1, 1, P), by least squares over some latents."""
    square, product = torch.zeros(()), torch.zeros(())
    for z in torch.randn(FIT_FACES, 1, generator.config.latent_dim):
        x, wanted, matters = (each[0].double() for each in seen(z))
        x = torch.cat([x, torch.ones_like(x[:1])])  # (K + 1, P)
        square = square + (x * matters) @ x.T  # (K + 1, K + 1)
        product = product + (x * matters) @ wanted.T  # (K + 1, C)
    ridge = FIT_RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    solved = torch.linalg.solve(square + ridge, product).float()
    return solved[:-1], solved[-1]
