"""Generators as other programs write them, with the statistics of their own activations, for the tests of importing."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

LATENT = 24


class View(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)


def randomized(net: nn.Module) -> nn.Module:
    """The net with weights, scales and shifts that keep its maps alive."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.ConvTranspose2d | nn.Conv2d | nn.Linear):
                taps = module.weight.numel() / module.weight.shape[1 if isinstance(module, nn.ConvTranspose2d) else 0]
                stride = module.stride[0] if isinstance(module, nn.ConvTranspose2d) else 1
                module.weight.normal_(0, 1.4 * stride / taps**0.5)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d) and module.weight is not None:
                module.weight.uniform_(0.7, 1.3)
                module.bias.normal_(0, 0.3)
    return net


def calibrated(net: nn.Module, draw: Callable[[int], tuple[Tensor, ...]], count: int) -> nn.Module:
    """The net in eval mode, with the running statistics that its own activations have, as after training."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    with torch.no_grad():
        for _ in range(8):
            net.train()(*draw(count))
    for norm in norms:
        norm.momentum = 0.1
    return net.eval()


def normal(count: int) -> tuple[Tensor, ...]:
    return (torch.randn(count, LATENT),)


def trained(net: nn.Module, draw: Callable[[int], tuple[Tensor, ...]] = normal, count: int = 64) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return calibrated(randomized(net), draw, count)


def dcgan(
    activation: Callable[[], nn.Module] = nn.ReLU,
    output: Callable[[], nn.Module] = nn.Tanh,
    widths: tuple[int, ...] = (32, 24, 16),
    channels: int = 3,
    eps: float = 1e-5,
    first_norm: bool = True,
    last_norm: bool = True,
    norm: Callable[..., nn.Module] = nn.BatchNorm2d,
    extra: int = 0,
) -> nn.Sequential:
    """The layout of the PyTorch example and of its many relatives. extra: 3x3 layers behind the last hidden one."""
    parts: list[nn.Module] = [View(LATENT, 1, 1)]
    inputs = LATENT
    for place, outputs in enumerate(widths):
        parts.append(nn.ConvTranspose2d(inputs, outputs, 4, 2 if place else 1, 1 if place else 0, bias=False))
        if (first_norm or place) and (last_norm or place < len(widths) - 1):
            parts.append(norm(outputs, eps=eps))
        parts.append(activation())
        inputs = outputs
    for _ in range(extra):
        parts += [nn.Conv2d(inputs, inputs, 3, 1, 1, bias=False), nn.BatchNorm2d(inputs), activation()]
    return nn.Sequential(*parts, nn.ConvTranspose2d(inputs, channels, 4, 2, 1, bias=False), output())


def projected(norm: str = "none", bias: bool = True) -> nn.Sequential:
    """Linear first and reshape (Radford et al. 2015, "project and reshape"). norm: "none", "1d" or "2d"."""
    first: list[nn.Module] = [nn.Linear(LATENT, 32 * 16, bias=bias)]
    first += [nn.BatchNorm1d(32 * 16), View(32, 4, 4)] if norm == "1d" else [View(32, 4, 4)]
    first += [nn.BatchNorm2d(32)] if norm == "2d" else []
    return nn.Sequential(*first, nn.ReLU(), *[*dcgan()][4:])


def upsampling(mode: str = "nearest") -> nn.Sequential:
    """eriklindernoren/PyTorch-GAN, dcgan.py: a norm without activation, then Upsample and 3x3, eps 0.8."""
    parts: list[nn.Module] = [nn.Linear(LATENT, 32 * 64), View(32, 8, 8), nn.BatchNorm2d(32)]
    for inputs, outputs in ((32, 32), (32, 16)):
        parts += [nn.Upsample(scale_factor=2, mode=mode), nn.Conv2d(inputs, outputs, 3, 1, 1)]
        parts += [nn.BatchNorm2d(outputs, 0.8), nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts, nn.Conv2d(16, 3, 3, 1, 1), nn.Tanh())


def wide_kernels() -> nn.Sequential:
    """5x5 transposed convolutions with output_padding, as in ports of Radford's code."""
    parts: list[nn.Module] = [nn.Linear(LATENT, 32 * 16), View(32, 4, 4), nn.BatchNorm2d(32), nn.ReLU()]
    for inputs, outputs in ((32, 24), (24, 16)):
        parts += [nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*parts, nn.ConvTranspose2d(16, 3, 5, 2, 2, 1), nn.Tanh())


def tripling() -> nn.Sequential:
    """The anime GAN of pytorch-book: a last 5x5 layer of stride 3, 96 px."""
    return nn.Sequential(
        *[*dcgan(widths=(32, 24, 16, 8))][:-2], nn.ConvTranspose2d(8, 3, 5, 3, 1, bias=False), nn.Tanh()
    )


class Conditional(nn.Module):
    """A generator of classes. entry: how the class enters, "times", "before" (the latent first) or "behind"."""

    def __init__(self, entry: str, classes: int = 4) -> None:
        super().__init__()
        self.entry = entry
        self.label_emb = nn.Embedding(classes, LATENT if entry == "times" else 8)
        inputs = LATENT if entry == "times" else LATENT + 8
        self.l1 = nn.Sequential(nn.Linear(inputs, 32 * 16), View(32, 4, 4), nn.BatchNorm2d(32), nn.ReLU())
        self.main = nn.Sequential(*[*dcgan()][4:])

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        rows = self.label_emb(labels)
        entered = {"times": z * rows[:, : z.shape[1]]} if self.entry == "times" else {}
        entered |= {"before": torch.cat([z, rows], 1), "behind": torch.cat([rows, z], 1)}
        return self.main(self.l1(entered[self.entry]))


def with_labels(count: int) -> tuple[Tensor, ...]:
    return torch.randn(count, LATENT), torch.arange(count) % 4
