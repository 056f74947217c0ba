"""Frozen configurations of a model and of a training run: plain scalars that round-trip through JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from ganime.errors import ConfigError
from ganime.text import quoted

IMAGE_SIZES = (32, 64, 128, 256)
MOST_BLOCKS, MOST_PIXELS = 64, 512  # of a generator with blocks of its own: how many, and the side of its pictures
NORMS = ("batch", "spectral", "none")
BLOCK_KINDS = ("linear", "transposed", "convolution")
BLOCK_NORMS = ("none", "batch", "batch-1d", "instance")
ENLARGEMENTS = ("none", "nearest", "bilinear")
ACTIVATIONS = (
    *("none", "relu", "leaky-relu", "elu", "selu", "gelu", "gelu-tanh", "silu", "tanh", "sigmoid", "softplus", "mish"),
    *("relu6", "hard-swish"),
)
LOSSES = ("bce", "hinge")
CROPS = ("none", "faces")
AUGMENTS = ("auto", "none", "diffaugment")
SCRATCH = "scratch"  # TrainConfig.start of a run that begins from random weights
EYES = ("auto", "anime", "broad", "both")
PRECISIONS = ("auto", "fp32", "bf16")
# Fields of earlier versions, with the only values that mean what this version does: no condition, no penalties.
REMOVED = {"attributes": 0, "r1": 0.0, "r2": 0.0, "penalty_steps": 16}

Config = TypeVar("Config", "Block", "ModelConfig", "TrainConfig")


def choice(default: Any, options: tuple[Any, ...]) -> Any:
    """A field of a configuration whose value is one of `options`."""
    return field(default=default, metadata={"options": options})


def ranged(default: Any, low: float, high: float) -> Any:
    """A field of a configuration whose value is from `low` to `high`, both included."""
    return field(default=default, metadata={"range": (low, high)})


def check_fields(config: Any) -> None:
    """Raise ConfigError unless each field has the type of its default and an allowed value; converts int to float."""
    for each in fields(config):
        name, value, wanted = f"{type(config).__name__}.{each.name}", getattr(config, each.name), type(each.default)
        if wanted is float and type(value) is int:
            value = float(min(max(value, -(10**300)), 10**300))  # float() of more raises OverflowError
            object.__setattr__(config, each.name, value)
        elif type(value) is not wanted:
            raise ConfigError(f"{name} must be {wanted.__name__}, got {type(value).__name__} {quoted(value)}.")
        options, (low, high) = each.metadata.get("options"), each.metadata.get("range", (None, None))
        if options and value not in options:
            raise ConfigError(f"{name} must be one of {', '.join(map(str, options))}; got {quoted(value)}.")
        if low is not None and not low <= value <= high:  # also true for NaN
            raise ConfigError(f"{name} must be from {low:g} to {high:g}; got {quoted(value)}.")


@dataclass(frozen=True)
class Block:
    """A layer of a generator that is no plain DCGAN: a weight, and what stands before and behind it.

    kind: "linear", from numbers to a map of kernel x kernel; "transposed", a transposed convolution; or "convolution".
    inputs, outputs: channels.
    kernel, stride, padding: as in torch; a transposed convolution of stride 1 and padding 0 makes a map of a latent.
    enlarge: how the map is doubled before the weight: "none", "nearest" or "bilinear".
    bias: whether the weight has one.
    norm: "none", "batch", "batch-1d" (of a linear layer before its numbers become a map) or "instance".
    eps: what the norm adds to the variance.
    activation: one of ACTIVATIONS.
    slope: of "leaky-relu" below 0, or alpha of "elu".
    activation_first: whether the activation comes before the norm.

    Raises ConfigError when a value is out of range.
    """

    kind: str = choice("transposed", BLOCK_KINDS)
    inputs: int = ranged(1, 1, 2**16)
    outputs: int = ranged(1, 1, 2**20)
    kernel: int = ranged(4, 1, 32)
    stride: int = ranged(1, 1, 8)
    padding: int = ranged(0, 0, 16)
    enlarge: str = choice("none", ENLARGEMENTS)
    bias: bool = False
    norm: str = choice("none", BLOCK_NORMS)
    eps: float = ranged(1e-5, 0.0, 1.0)
    activation: str = choice("none", ACTIVATIONS)
    slope: float = ranged(0.2, 0.0, 10.0)
    activation_first: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def side(self, side: int) -> int:
        """The side of the map that comes of one of `side` pixels."""
        if self.kind == "linear":
            return self.kernel
        if self.enlarge != "none":
            side *= 2
        if self.kind == "transposed":
            return (side - 1) * self.stride - 2 * self.padding + self.kernel
        return (side + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def weights(self) -> int:
        """How many numbers its weight has."""
        return self.inputs * self.outputs * self.kernel**2


@dataclass(frozen=True)
class ModelConfig:
    """Topology of a DCGAN generator and its discriminator (Radford et al. 2015).

    image_size: side of the square picture in px, 32, 64, 128 or 256; with blocks, any that they draw.
    latent_dim: length of the Gaussian latent z.
    base_channels: channels of the layer next to the picture; each layer further away has twice as many.
    max_channels: the limit of that doubling.
    generator_norm, discriminator_norm: "batch", "spectral" (Miyato et al. 2018) or "none".
    discriminator_channels: base_channels of the discriminator, 0 for the same as the generator's.
    rgb_stride: 2 for the last layer of the paper's generator, a 4x4 transposed convolution from half the side to the
        picture; 1 for one more hidden layer and a 3x3 convolution at the side of the picture.
    supersampling: how many times larger than image_size the generator draws, 1, 2, 4 or 8. The drawing is downsampled
        by a Lanczos filter, so its details are as fine and as sharp as in a photograph that was made smaller.
    chroma_stride: 2 to draw colours at half the side of the luma, as in JPEG and WebP (4:2:0), 1 at the full side.
    blocks: the layers of an imported generator that is no plain DCGAN, from the latent to the picture; none for a plain
        one. With blocks, base_channels, max_channels and discriminator_channels describe the discriminator alone, and
        the picture may have any side up to 512 px, though only models of the sides above can be trained.

    Raises ConfigError when a value is out of range.
    """

    image_size: int = 64
    latent_dim: int = ranged(128, 1, 4096)
    base_channels: int = ranged(64, 1, 1024)
    max_channels: int = ranged(512, 1, 4096)
    generator_norm: str = choice("batch", NORMS)
    discriminator_norm: str = choice("spectral", NORMS)
    discriminator_channels: int = ranged(0, 0, 4096)
    rgb_stride: int = choice(2, (1, 2))
    supersampling: int = choice(1, (1, 2, 4, 8))
    chroma_stride: int = choice(1, (1, 2))
    blocks: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.blocks:
            check_blocks(self)
            return
        if self.image_size not in IMAGE_SIZES:
            sizes = ", ".join(map(str, IMAGE_SIZES))
            raise ConfigError(f"ModelConfig.image_size must be one of {sizes}; got {self.image_size}.")
        if self.max_channels < self.base_channels:
            limits = f"from {self.base_channels} to 4096"
            raise ConfigError(f"ModelConfig.max_channels must be {limits}; got {self.max_channels}.")
        if self.image_size * self.supersampling > max(IMAGE_SIZES):
            raise ConfigError(
                f"ModelConfig with image_size {self.image_size} and supersampling {self.supersampling} draws "
                f"{self.image_size * self.supersampling} px; at most {max(IMAGE_SIZES)} are drawn. Lower one of them."
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the generator's hidden layers, from the one at 4x4 to the one next to the picture."""
        if self.blocks:
            return tuple(block.outputs for block in self.blocks[:-1])
        maps = hidden_maps(self.image_size * self.supersampling)
        if self.rgb_stride == 1:
            maps += 1
        return self.doubled(self.base_channels, maps)

    @property
    def judging_channels(self) -> tuple[int, ...]:
        """Channels of the discriminator's hidden layers, from the one next to the picture to the one at 4x4."""
        return self.doubled(self.discriminator_channels or self.base_channels, hidden_maps(self.image_size))[::-1]

    def doubled(self, base: int, maps: int) -> tuple[int, ...]:
        """`base`, doubled for each further layer up to max_channels, the largest first."""
        return tuple(min(base * 2**level, self.max_channels) for level in reversed(range(maps)))


def check_blocks(config: ModelConfig) -> None:
    """Raise ConfigError unless each block takes what the one before gives, and the last one draws the picture."""
    blocks = config.blocks
    if not 2 <= len(blocks) <= MOST_BLOCKS or not all(isinstance(block, Block) for block in blocks):
        raise ConfigError(f"ModelConfig.blocks must be 2 to {MOST_BLOCKS} blocks; got {quoted(blocks)}.")
    if (config.supersampling, config.chroma_stride, config.rgb_stride) != (1, 1, 2):
        raise ConfigError("ModelConfig with blocks needs supersampling 1, chroma_stride 1 and rgb_stride 2.")
    channels, side = config.latent_dim, 1
    for number, block in enumerate(blocks):
        where = f"ModelConfig.blocks[{number}]"
        if block.inputs != channels:
            raise ConfigError(f"{where} takes {block.inputs} channels, and it is given {channels}.")
        if block.kind == "linear" and side != 1:
            raise ConfigError(f"{where} is linear and would have to begin from a map of {side} px.")
        channels, side = block.outputs, block.side(side)
        if not 1 <= side <= MOST_PIXELS:
            raise ConfigError(f"{where} makes a map of {side} px; 1 to {MOST_PIXELS} px are possible.")
    if (channels, side) != (3, config.image_size):
        drawn = f"{channels} channels of {side} px"
        raise ConfigError(f"ModelConfig.blocks draw {drawn}, not 3 of image_size {config.image_size} px.")


def hidden_maps(side: int) -> int:
    """The number of maps from 4x4 to half the side: four for 64 px (4x4, 8x8, 16x16 and 32x32)."""
    return side.bit_length() - 3


PAUSES = 0.1  # of the minutes of a job, at most, that measuring and saving may take beside the training


@dataclass(frozen=True)
class TrainConfig:
    """How a run trains. `RECIPES` are named starting points; every field can be overridden.

    recipe: name of the starting point.
    batch_size: faces per step.
    generator_lr, discriminator_lr: learning rates of Adam.
    beta1, beta2: decay rates of Adam.
    loss: "bce" (Goodfellow et al. 2014, non-saturating) or "hinge" (Lim & Ye 2017).
    critic: weight of the feature critic's loss relative to the discriminator's, for each of its views, 0 for no critic
        (`critic.FeatureCritic`).
    eyes: the networks that the critic looks through: "anime", trained on anime faces; "broad", trained on pictures of
        all kinds; "both"; or "auto": those of the model that the run starts from, else "anime".
    ema_images: half-life of the moving average of the generator in images, 0 for none.
    ema_warmup: the half-life never exceeds this share of the images seen, so that the noise of the start fades.
    augment: "diffaugment" (Zhao et al. 2020) on real and generated faces, "none", or "auto": below 10,000 faces only.
    freeze: number of the discriminator's first layers that are not trained (FreezeD, Mo et al. 2020).
    flip: mirror real faces at random.
    keep_duplicates: use duplicate pictures, too.
    crop: "faces" to cut the faces out of pictures that are more than a face, "none" to take the middle of each.
    precision: "fp32", "bf16" (autocast), or "auto": bf16 if a trial finds it faster.
    deep_layers: how the deep layers compute, as a "convolution", as a matrix product ("matmul",
        `matrix_products.use_products`), or "auto": the faster one for the processor, which is stored with the run.
    start: "scratch", or the name of the model whose weights the run starts from.
    seed: of all randomness in the run.
    images, steps, minutes: limits, 0 for none; the run ends at the first one that it reaches. Minutes are those of
        training: reading the faces, measuring and saving do not count.
    save_minutes: minutes between saves.
    preview_images: images between sample grids; the first ones come sooner.
    measure_images: images between measures of the faces, 0 for none.

    Raises ConfigError when a value is out of range.
    """

    recipe: str = "modern"
    batch_size: int = ranged(32, 2, 65_536)
    generator_lr: float = ranged(4e-4, 1e-8, 1.0)
    discriminator_lr: float = ranged(8e-4, 1e-8, 1.0)
    beta1: float = ranged(0.0, 0.0, 0.9999)
    beta2: float = ranged(0.9, 0.0, 0.99999)
    loss: str = choice("hinge", LOSSES)
    critic: float = ranged(0.0, 0, 10**6)
    eyes: str = choice("auto", EYES)
    ema_images: int = ranged(10_000, 0, 10**9)
    ema_warmup: float = ranged(0.05, 0.001, 1.0)
    augment: str = choice("auto", AUGMENTS)
    freeze: int = ranged(0, 0, 16)
    flip: bool = True
    keep_duplicates: bool = False
    crop: str = choice("none", CROPS)
    precision: str = choice("auto", PRECISIONS)
    deep_layers: str = choice("auto", ("auto", "convolution", "matmul"))
    start: str = SCRATCH
    seed: int = ranged(0, 0, 2**32 - 1)
    images: int = ranged(0, 0, 10**12)
    steps: int = ranged(0, 0, 10**12)
    minutes: float = ranged(0.0, 0.0, 10**6)
    save_minutes: float = ranged(5.0, 0.001, 10**6)
    preview_images: int = ranged(20_000, 1, 10**12)
    measure_images: int = ranged(10_000, 0, 10**12)

    def __post_init__(self) -> None:
        check_fields(self)


RECIPES: dict[str, tuple[TrainConfig, ModelConfig]] = {
    "classic": (
        TrainConfig(
            recipe="classic",
            batch_size=64,
            generator_lr=2e-4,
            discriminator_lr=2e-4,
            beta1=0.5,
            beta2=0.999,
            loss="bce",
            ema_images=0,
            augment="none",
            flip=False,
            precision="fp32",
        ),
        ModelConfig(latent_dim=100, discriminator_norm="batch"),
    ),
    "modern": (TrainConfig(critic=1.0), ModelConfig()),
}


def to_dict(config: Block | ModelConfig | TrainConfig) -> dict[str, Any]:
    """The configuration as a dictionary of JSON scalars; a model's blocks are a list of such dictionaries."""
    values = asdict(config)
    if "blocks" in values:
        values["blocks"] = list(values["blocks"])
        if not values["blocks"]:  # a plain DCGAN, which earlier versions can read
            del values["blocks"]
    return values


def from_dict(kind: type[Config], values: dict[str, Any]) -> Config:
    """The inverse of `to_dict`; also reads what earlier versions wrote. Missing fields take their defaults.

    Raises ConfigError for unknown fields, wrong types and values out of range.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{kind.__name__} needs a JSON object, got {type(values).__name__}.")
    values = {name: value for name, value in values.items() if name not in REMOVED or value != REMOVED[name]}
    forms = str(values.get("deep_layers")).split(",")  # once one for each layer, among three
    if set(forms) <= {"convolution", "gradient", "matmul"}:
        values["deep_layers"] = "matmul" if "matmul" in forms else "convolution"
    if isinstance(values.get("blocks"), list | tuple) and all(isinstance(each, dict) for each in values["blocks"]):
        values["blocks"] = tuple(from_dict(Block, each) for each in values["blocks"][: MOST_BLOCKS + 1])
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        listed = ", ".join(sorted(known))
        raise ConfigError(f"{kind.__name__} has no field {', '.join(unknown)}; its fields are {listed}.")
    return kind(**values)
