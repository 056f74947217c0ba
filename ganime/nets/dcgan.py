"""The two nets of a DCGAN (Radford et al. 2015, arXiv:1511.06434): convolutions only, up and down."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ganime.config import Block, ModelConfig, from_dict, to_dict
from ganime.errors import CheckpointError, ConfigError
from ganime.files import CONFIG_FILE, SAVED_TOGETHER, WEIGHTS_FILE, checked_tensors, read_tensors, save_tensors
from ganime.nets.blocks import activate, make_block
from ganime.shapes import Float

DISCRIMINATOR_FILE = "discriminator.safetensors"
LOBES = 3  # of the Lanczos filter
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # shares of red, green and blue in luma, as in JPEG and WebP (ITU-R BT.601)
MOST_CONFIG_BYTES = 2**20  # of a config.json
SMALL_NET = 500_000  # weights; a net of that size may be allocated before its file proves to fit

Net = TypeVar("Net", "Generator", "Discriminator")


class Generator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="ganime",
    pipeline_tag="unconditional-image-generation",
    tags=["dcgan"],
):
    """z -> picture: a projection to 4x4, then strided transposed convolutions, each doubling the side.

    Every hidden layer is convolution, norm, ReLU; the last one is a convolution and tanh (with `rgb_stride` 1 at the
    side of the picture). No dense layers. With `supersampling` the picture is drawn larger and then downsampled.
    An imported generator has the layers that the `blocks` of its configuration describe.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        if config.blocks:
            self.stem, *inner = (make_block(block) for block in config.blocks[:-1])
            self.blocks = nn.Sequential(*inner)
            self.to_rgb = make_block(config.blocks[-1], with_activation=False)
            return
        norm, widths = config.generator_norm, config.channels
        self.stem = up_layer(config.latent_dim, widths[0], norm, stride=1, padding=0)
        self.blocks = nn.Sequential(*(up_layer(a, b, norm) for a, b in itertools.pairwise(widths)))
        flat = config.rgb_stride == 1
        last = nn.Conv2d(widths[-1], 3, 3, 1, 1) if flat else nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1)
        self.to_rgb = with_norm(last, norm)
        self.apply(init_weights)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, z: Float[Tensor, "b latent"]) -> Float[Tensor, "b 3 size size"]:
        """Pictures in [-1, 1] for latents from N(0, 1)."""
        x = self.stem(z[:, :, None, None])  # (B, Z, 1, 1) -> (B, C, 4, 4)
        x = self.blocks(x)  # (B, base, S / 2, S / 2), with rgb_stride 1 (B, base, S, S)
        return downsample(self.drawn(x), self.config.supersampling)  # (B, 3, S, S)

    def drawn(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 side side"]:
        """The picture that the last layer draws from the last map, before downsampling, colours subsampled."""
        if self.config.blocks:
            return in_range(self.config.blocks[-1], self.to_rgb(x))
        return subsample_chroma(torch.tanh(self.to_rgb(x)), self.config.chroma_stride)

    def _save_pretrained(self, save_directory: Path) -> None:
        save_tensors(self.state_dict(), save_directory / WEIGHTS_FILE, half=True)
        (save_directory / CONFIG_FILE).write_text(json.dumps(to_dict(self.config), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, *, map_location: str = "cpu", **options: Any
    ) -> Generator:
        """Load the generator of a folder or of a repository on the hub, in eval mode and fp32.

        options: those of `hf_hub_download` (revision, token, cache_dir, ...).

        Raises CheckpointError, naming the file, if it is damaged or does not fit, ConfigError if a value in config.json
        is out of range, and the errors of huggingface_hub if the hub does not deliver a file.
        """
        folder = Path(pretrained_model_name_or_path)

        def file(name: str) -> Path:
            if folder.is_dir():
                return folder / name
            return Path(hf_hub_download(str(pretrained_model_name_or_path), name, **options))

        path = file(CONFIG_FILE)
        config = parse_model_config(read_config(path), str(path))
        return load_net(cls, config, file(WEIGHTS_FILE)).requires_grad_(False).to(map_location)


class Discriminator(nn.Module):
    """Picture -> logit: strided convolutions that halve the side, with LeakyReLU(0.2), then a 4x4 convolution."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        norm, widths = config.discriminator_norm, config.judging_channels
        self.from_rgb = down_layer(3, widths[0], "none" if norm == "batch" else norm)
        self.blocks = nn.Sequential(*(down_layer(a, b, norm) for a, b in itertools.pairwise(widths)))
        self.head = with_norm(nn.Conv2d(widths[-1], 1, 4, 1, 0), norm)
        self.apply(init_weights)

    def layers(self) -> list[nn.Module]:
        """The layers in order, from the picture to the logit."""
        return [self.from_rgb, *self.blocks, self.head]

    def forward(self, images: Float[Tensor, "b 3 size size"]) -> Float[Tensor, " b"]:
        """One logit per picture in [-1, 1], positive for real."""
        x = self.from_rgb(images)  # (B, base, S / 2, S / 2)
        x = self.blocks(x)  # (B, C, 4, 4)
        return self.head(x).flatten()  # (B, 1, 1, 1) -> (B,)


def up_layer(inputs: int, outputs: int, norm: str, stride: int = 2, padding: int = 1) -> nn.Sequential:
    """Transposed convolution, norm, ReLU; with the default stride (B, C, H, W) -> (B, C', 2H, 2W)."""
    conv = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=norm != "batch")
    return hidden_layer(conv, norm, nn.ReLU(inplace=True))


def down_layer(inputs: int, outputs: int, norm: str) -> nn.Sequential:
    """Convolution, norm, LeakyReLU(0.2): (B, C, H, W) -> (B, C', H / 2, W / 2)."""
    conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=norm != "batch")
    return hidden_layer(conv, norm, nn.LeakyReLU(0.2, inplace=True))


def hidden_layer(conv: nn.Conv2d | nn.ConvTranspose2d, norm: str, activation: nn.Module) -> nn.Sequential:
    """A convolution, its norm and an activation."""
    norms = [nn.BatchNorm2d(conv.out_channels)] if norm == "batch" else []
    return nn.Sequential(with_norm(conv, norm), *norms, activation)


def with_norm(conv: nn.Module, norm: str) -> nn.Module:
    """Initialise a convolution, and apply spectral normalisation (Miyato et al. 2018) if that is the norm.

    Other norms are layers after the convolution.
    """
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
    nn.init.normal_(conv.weight, 0.0, 0.02)  # before spectral norm measures the weight
    return parametrizations.spectral_norm(conv) if norm == "spectral" else conv


def init_weights(module: nn.Module) -> None:
    """N(1, 0.02) for the scale of BatchNorm, zero for every bias, as in the paper; `with_norm` draws the weights."""
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


def set_requires_grad(parameters: Iterable[nn.Parameter], required: bool) -> None:
    """Switch the gradients of these parameters on or off."""
    for parameter in parameters:
        parameter.requires_grad_(required)


def load_net(kind: type[Net], config: ModelConfig, weights: Path) -> Net:
    """A net in eval mode with the weights of a file. A large net is not allocated before the file proves to fit.

    Raises CheckpointError, naming the file, when it does not fit the configuration.
    """
    tensors = read_tensors(weights)
    count = sum(tensor.numel() for tensor in tensors.values())
    widths = (config.latent_dim, *config.channels) if kind is Generator else config.judging_channels
    least = 16 * sum(a * b for a, b in itertools.pairwise(widths))  # the 4x4 kernels of all layers but the picture's
    if kind is Generator and config.blocks:
        least = sum(block.weights for block in config.blocks)
    if least > max(count, SMALL_NET):
        numbers = f"{count:,} numbers where the shape in its config.json needs over {least:,}"
        raise CheckpointError(f"{weights} holds {numbers}. {SAVED_TOGETHER}")
    with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source
        net = kind(config)
    net.load_state_dict(checked_tensors(tensors, net.state_dict(), weights))
    return net.eval()


def in_range(last: Block, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """The picture in [-1, 1] that the last block of an imported generator draws, before its activation `x`."""
    drawn = activate(last, x)
    return 2 * drawn - 1 if last.activation == "sigmoid" else drawn.clamp(-1, 1)


def subsample_chroma(pictures: Float[Tensor, "b 3 h w"], times: int) -> Float[Tensor, "b 3 h w"]:
    """Pictures in [-1, 1] with the same luma and `times` times coarser colours, as in JPEG's chroma subsampling."""
    if times == 1:
        return pictures

    def coarse(x: Tensor) -> Tensor:
        return F.interpolate(F.avg_pool2d(x, times), scale_factor=float(times), mode="bilinear")

    luma = (pictures * luma_weights(pictures.device).to(pictures.dtype)).sum(1, keepdim=True)  # (B, 1, H, W)
    return (coarse(pictures - luma) + luma).clamp(-1, 1)  # the colours alone have a luma of 0, coarse or not


@functools.cache
def luma_weights(device: torch.device) -> Float[Tensor, "3 1 1"]:
    """The shares of red, green and blue in luma; cached, so that they are sent to the device once."""
    with torch.inference_mode(False):
        return torch.tensor(LUMA_WEIGHTS, device=device)[:, None, None]


def downsample(pictures: Float[Tensor, "b 3 h h"], times: int) -> Float[Tensor, "b 3 s s"]:
    """Pictures in [-1, 1] downsampled `times` times by a Lanczos filter, in fp32."""
    if times == 1:
        return pictures
    with torch.autocast(pictures.device.type, enabled=False):
        filtered = lanczos_matrix(pictures.shape[-1], times, pictures.device)  # (S, H)
        return (filtered @ pictures.float() @ filtered.T).clamp(-1, 1)  # it overshoots at edges


@functools.cache
def lanczos_matrix(side: int, times: int, device: torch.device) -> Float[Tensor, "s side"]:
    """The matrix that downsamples a row of `side` pixels `times` times (Duchon 1979), as Pillow does."""
    with torch.inference_mode(False):  # it is cached, and the next caller may need gradients
        middles = (torch.arange(side // times) + 0.5) * times - 0.5
        places = (torch.arange(side) - middles[:, None]) / times  # (S, side)
        weights = torch.sinc(places) * torch.sinc(places / LOBES) * (places.abs() < LOBES)
        return (weights / weights.sum(1, keepdim=True)).to(device)


def read_config(path: Path) -> Any:
    """The JSON of a model's config.json. Raises CheckpointError, naming the file, if it is missing or unreadable."""
    try:
        size = path.stat().st_size
        if size > MOST_CONFIG_BYTES:
            raise ValueError(f"{size:,} bytes; at most {MOST_CONFIG_BYTES:,} are read")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; a model folder holds {CONFIG_FILE} and {WEIGHTS_FILE}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}). Fetch or save the model again.") from error


def parse_model_config(values: Any, origin: str) -> ModelConfig:
    """The ModelConfig in a checkpoint's config.json, whose key "training" describes the training.

    values: the parsed file. origin: its path, for errors.

    Raises CheckpointError when it is missing, not a JSON object or that of a conditional model, ConfigError when a
    value is out of range.
    """
    if not isinstance(values, dict) or "image_size" not in values:
        raise CheckpointError(
            f"{origin} is missing or is no Ganime configuration: it needs image_size, latent_dim and the other fields "
            "of ModelConfig. For the weight file of a plain DCGAN, use `ganime import`."
        )
    if values.get("attributes", 0) != 0:
        raise CheckpointError(
            f"{origin} describes a conditional model (attributes {values['attributes']!r}); Ganime reads only "
            "unconditional ones, with attributes 0 or without that field."
        )
    try:
        return from_dict(ModelConfig, {name: value for name, value in values.items() if name != "training"})
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from error
