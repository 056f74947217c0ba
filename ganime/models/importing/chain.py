"""Puts together the layers of a generator from a program's own list of operations, as Keras and ONNX have it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ganime.config import Block
from ganime.errors import CheckpointError, ConfigError
from ganime.models.importing.layers import ReadLayer, symmetric


class Chain:
    """The layers so far; every operation is added to the last weight, or begins the next one.

    Each method raises CheckpointError, naming the operation, for an order that Ganime cannot express.
    """

    def __init__(self) -> None:
        self.layers: list[ReadLayer] = []
        self.enlargement = "none"  # that stands before the next weight

    def finished(self) -> list[ReadLayer]:
        """The layers; each takes what the one before gives."""
        if len(self.layers) < 2 or self.enlargement != "none":
            raise CheckpointError(f"it has {len(self.layers)} layers with weights; a generator has at least 2.")
        return self.layers

    def begin(self, layer: ReadLayer) -> None:
        """Add a weight."""
        before, inputs = (self.layers[-1] if self.layers else None), layer.block.inputs
        if before and before.block.outputs != inputs:
            given = before.block.outputs
            raise CheckpointError(f"layer {layer.name} takes {inputs} channels, and it is given {given}.")
        self.layers.append(layer.changed(enlarge=self.enlargement, bias=layer.bias is not None))
        self.enlargement = "none"

    def linear(self, name: str, weight: Tensor, bias: Tensor | None) -> None:
        """A linear layer, weight (outputs, inputs)."""
        if self.layers and (self.layers[-1].block.kind, self.layers[-1].block.kernel) != ("linear", 1):
            raise CheckpointError(f"layer {name} is linear and comes behind a map, as in a discriminator.")
        outputs, inputs = weight.shape
        self.begin(ReadLayer(name, self.block(name, "linear", inputs, outputs, 1, 1, 0), weight, bias))

    def transposed(self, name: str, weight: Tensor, bias: Tensor | None, stride: int, crop: tuple[int, int]) -> None:
        """A transposed convolution, weight (inputs, outputs, K, K). crop: rows cut off at the beginning and the end.

        A negative number adds zeros instead.
        """
        padded, padding = symmetric(weight, *crop)
        inputs, outputs, kernel, _ = padded.shape
        block = self.block(name, "transposed", inputs, outputs, kernel, stride, padding)
        self.begin(ReadLayer(name, block, padded, bias))

    def convolution(self, name: str, weight: Tensor, bias: Tensor | None, stride: int, pads: tuple[int, int]) -> None:
        """A convolution, weight (outputs, inputs, K, K). pads: zeros around the map at the beginning and the end."""
        if stride != 1:
            raise CheckpointError(f"layer {name} is a convolution of stride {stride}, as in a discriminator.")
        padded, padding = symmetric(weight, *pads)
        outputs, inputs, kernel, _ = padded.shape
        block = self.block(name, "convolution", inputs, outputs, kernel, 1, padding)
        self.begin(ReadLayer(name, block, padded, bias))

    def add_bias(self, bias: Tensor, where: str) -> None:
        """A bias for each channel of the last weight, which has none yet."""
        last = self.layers[-1] if self.layers else None
        bare = last and last.bias is None and not last.norm and last.block.activation == self.enlargement == "none"
        is_map = last and last.block.kind == "linear" and last.block.kernel > 1  # which has one for each number
        if not last or not bare or is_map or len(bias) != last.block.outputs:
            raise CheckpointError(f"layer {where} adds {len(bias)} numbers in a place where Ganime knows no bias.")
        self.layers[-1] = replace(last, bias=bias).changed(bias=True)

    def block(self, name: str, kind: str, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> Block:
        """A block without norm and activation, so far."""
        try:
            return Block(kind, inputs, outputs, kernel, stride, padding)
        except ConfigError as error:
            raise CheckpointError(f"layer {name} is out of range: {error}") from error

    def reshape(self, shape: tuple[object, ...], channels_last: bool) -> None:
        """Numbers become a map, (K, K, C) or (C, K, K); a latent may also become a single point."""
        sides, channels = (shape[:2], shape[-1]) if channels_last else (shape[1:], shape[0])
        if not self.layers and tuple(sides) == (1, 1):
            return
        last = self.layers[-1] if self.layers else None
        count = last.block.outputs if last and last.block.kind == "linear" and last.block.kernel == 1 else 0
        side = sides[0] if len(sides) == 2 and sides[0] == sides[1] else 0
        if not last or not isinstance(side, int) or not count or side < 1 or count % side**2:
            raise CheckpointError(f"a reshape to {shape} is one that Ganime does not know.")
        if channels not in (-1, count // side**2):
            raise CheckpointError(f"a reshape of {count} numbers to {shape} is not possible.")
        self.layers[-1] = as_map(last, side, channels_last)

    def enlarge(self, mode: str, where: str) -> None:
        """The map at twice the side, before the next weight."""
        last = self.layers[-1].block if self.layers else None
        if self.enlargement != "none" or not last:
            raise CheckpointError(f"layer {where} enlarges a map that was enlarged already, or none.")
        self.enlargement = mode

    def norm(self, kind: str, numbers: dict[str, Tensor], eps: float, where: str) -> None:
        """A norm behind the last weight. kind: "batch" or "instance"."""
        last = self.layers[-1] if self.layers else None
        if (
            last is None
            or last.norm
            or self.enlargement != "none"
            or {len(n) for n in numbers.values()} != {last.block.outputs}
        ):
            raise CheckpointError(f"layer {where} is a norm in a place where Ganime knows none.")
        first = last.block.activation != "none"
        self.layers[-1] = replace(last, norm=numbers).changed(norm=kind, eps=eps, activation_first=first)

    def activate(self, activation: str, slope: float, where: str) -> None:
        """An activation behind the last weight."""
        if activation == "none":
            return
        last = self.layers[-1] if self.layers else None
        if last is None or last.block.activation != "none" or self.enlargement != "none":
            raise CheckpointError(f"layer {where} is an activation in a place where Ganime knows none.")
        self.layers[-1] = last.changed(activation=activation, slope=slope)


def as_map(layer: ReadLayer, side: int, channels_last: bool) -> ReadLayer:
    """A linear layer whose numbers become a map of `side` x `side`; its numbers then come channel by channel."""
    channels = layer.block.outputs // side**2

    def by_channel(numbers: Tensor) -> Tensor:
        if not channels_last:
            return numbers
        grid = numbers.unflatten(0, (side, side, channels))  # (K, K, C, ...)
        return grid.movedim(2, 0).flatten(0, 2).contiguous()  # (C * K * K, ...)

    norm = {name: by_channel(numbers) for name, numbers in layer.norm.items()}
    bias = None if layer.bias is None else by_channel(layer.bias)
    kind = f"{layer.block.norm}-1d" if norm and side > 1 else layer.block.norm
    return replace(layer, weight=by_channel(layer.weight), bias=bias, norm=norm).changed(
        outputs=channels, kernel=side, norm=kind
    )
