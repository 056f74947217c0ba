"""The generator and the upscaler as ONNX files, for programs without torch.

The generator takes latents, (N, latent) in fp32, and gives pictures, (N, 3, S, S) in [-1, 1]. The upscaler takes
pictures, (N, 3, H, W) in [0, 1], and gives them four times as large. Both compute in fp32 what torch computes, and keep
their weights as the checkpoints do, in fp16.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ganime.models.checkpoint import Checkpoint
from ganime.models.onnx_graph import Graph, numbers
from ganime.nets.dcgan import LUMA_WEIGHTS, lanczos_matrix
from ganime.nets.upscaler import PADDING, SCALE, Excitation, Upscaler

PICTURES = ("faces", 3)


def generator_onnx(checkpoint: Checkpoint) -> bytes:
    """The generator as an ONNX file, each BatchNorm multiplied into the weights before it."""
    generator, config, graph = checkpoint.generator, checkpoint.generator.config, Graph()
    weight, bias = folded_layer(graph, generator.stem, flat=True)
    x = graph.node("Relu", graph.node("Gemm", "latents", weight, bias))  # (N, 16 C)
    x = graph.node("Reshape", x, graph.constant([-1, config.channels[0], 4, 4], np.int64))  # (N, C, 4, 4)
    for block in generator.blocks:
        assert isinstance(block, nn.Sequential)
        x = graph.node("Relu", doubled(graph, x, *folded_layer(graph, block)))  # (N, C', 2H, 2W)
    last = folded_layer(graph, nn.Sequential(generator.to_rgb))
    if isinstance(generator.to_rgb, nn.ConvTranspose2d):
        x = doubled(graph, x, *last)  # (N, 3, 2H, 2W)
    else:
        x = graph.node("Conv", x, *last, kernel_shape=[3, 3], pads=[1, 1, 1, 1])  # (N, 3, H, W)
    x = coarse_colours(graph, graph.node("Tanh", x), config.chroma_stride)
    x = downsampled(graph, x, config.supersampling, config.image_size)  # (N, 3, S, S)
    side = config.image_size
    facts = {"model": checkpoint.name, "revision": checkpoint.revision}
    output = numbers("pictures", *PICTURES, side, side)
    return graph.model("generator", [numbers("latents", "faces", config.latent_dim)], (x, output), facts)


def folded_layer(graph: Graph, layer: nn.Sequential, flat: bool = False) -> tuple[str, str]:
    """The weight and bias of a convolution with its BatchNorm.

    The file keeps the convolution's own weight, which fp16 holds exactly, and the factors of BatchNorm.
    flat: for a matrix product, (Z, C, 4, 4) -> (Z, 16 C).
    """
    convolution, *rest = layer
    assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
    weight, channels = convolution.weight.detach().float(), convolution.out_channels
    bias = torch.zeros(channels) if convolution.bias is None else convolution.bias.detach().float()
    [norm] = [each for each in rest if isinstance(each, nn.BatchNorm2d)] or [None]
    factor = None
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)  # (C,)
        bias = (bias - norm.running_mean) * factor + norm.bias.detach()
    shape = (1, -1, 1, 1) if isinstance(convolution, nn.ConvTranspose2d) else (-1, 1, 1, 1)
    if flat:
        positions = weight.shape[2] * weight.shape[3]
        weight, bias, shape = weight.flatten(1), bias.repeat_interleave(positions), (1, -1)
        factor = None if factor is None else factor.repeat_interleave(positions)
    name = graph.weight(weight)
    if factor is not None:
        name = graph.node("Mul", name, graph.constant(factor.view(shape)))
    return name, graph.constant(bias)


def doubled(graph: Graph, x: str, weight: str, bias: str) -> str:
    """A transposed convolution that doubles the side: (N, C, H, W) -> (N, C', 2H, 2W)."""
    return graph.node("ConvTranspose", x, weight, bias, kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1])


def coarse_colours(graph: Graph, x: str, times: int) -> str:
    """What `ganime.nets.dcgan.subsample_chroma` computes; the shape stays."""
    if times == 1:
        return x
    luma = graph.node("Conv", x, graph.constant(np.reshape(LUMA_WEIGHTS, (1, 3, 1, 1))))  # (N, 1, H, W)
    colours = graph.node("Sub", x, luma)
    colours = graph.node("AveragePool", colours, kernel_shape=[times] * 2, strides=[times] * 2)
    colours = graph.node("Resize", colours, "", graph.constant([1, 1, times, times]), mode="linear")
    return clipped(graph, graph.node("Add", colours, luma))


def downsampled(graph: Graph, x: str, times: int, side: int) -> str:
    """What `ganime.nets.dcgan.downsample` computes: (N, 3, H, H) -> (N, 3, S, S)."""
    if times == 1:
        return x
    matrix = lanczos_matrix(side * times, times, torch.device("cpu"))  # (S, H)
    rows = graph.node("MatMul", graph.constant(matrix), x)  # (N, 3, S, H)
    return clipped(graph, graph.node("MatMul", rows, graph.constant(matrix.T)))


def clipped(graph: Graph, x: str) -> str:
    return graph.node("Clip", x, graph.constant(-1), graph.constant(1))


def upscaler_onnx(net: Upscaler) -> bytes:
    """The upscaler as an ONNX file; H and W are even and at least 20."""
    graph = Graph()
    x = graph.node("Pad", "pictures", graph.constant([0, 0, *[PADDING] * 2] * 2, np.int64), mode="reflect")
    first, second = net.first, net.second
    x = layers(graph, x, first.enter)
    inner = layers(graph, x, first.down, first.middle, first.up)
    x = graph.node("Add", cropped(graph, x, 4), inner)
    x = layers(graph, x, first.leave, nn.Sequential(first.enlarge))

    enter = layers(graph, x, second.enter)
    inner = layers(graph, enter, second.down, second.inner_enter)
    innermost = layers(graph, inner, second.inner_down, second.middle, second.inner_up)
    inner = graph.node("Add", cropped(graph, inner, 4), innermost)
    inner = layers(graph, inner, second.inner_leave, second.up)
    inner = graph.node("Add", cropped(graph, enter, 16), inner)
    inner = layers(graph, inner, second.leave, nn.Sequential(second.last))

    x = graph.node("Add", inner, cropped(graph, x, 20))
    x = cropped(graph, layers(graph, x, nn.Sequential(net.last)), 1)  # (N, 12, 2H, 2W)
    drawn = graph.node("DepthToSpace", x, blocksize=2, mode="CRD")  # (N, 3, 4H, 4W)
    scales = graph.constant([1, 1, SCALE, SCALE])
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    x = graph.node("Add", drawn, graph.node("Resize", "pictures", "", scales, **nearest))
    output = numbers("large", *PICTURES, "h4", "w4")
    return graph.model("upscaler", [numbers("pictures", *PICTURES, "h", "w")], (x, output), {"model": "Real-CUGAN"})


def layers(graph: Graph, x: str, *groups: nn.Sequential) -> str:
    """The layers of an upscaler's part, one after the other."""
    for layer in (layer for group in groups for layer in group):
        if isinstance(layer, nn.LeakyReLU):
            x = graph.node("LeakyRelu", x, alpha=layer.negative_slope)
        elif isinstance(layer, Excitation):
            x = excited(graph, x, layer)
        else:
            assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
            assert layer.bias is not None
            kind = "Conv" if isinstance(layer, nn.Conv2d) else "ConvTranspose"
            shape, strides = list(layer.kernel_size), list(layer.stride)
            pads = [int(side) for side in layer.padding] * 2
            values = graph.weight(layer.weight), graph.weight(layer.bias)
            x = graph.node(kind, x, *values, kernel_shape=shape, strides=strides, pads=pads)
    return x


def excited(graph: Graph, x: str, layer: Excitation) -> str:
    """Each channel times what the means of all channels say; the shape stays."""
    means = graph.node("ReduceMean", x, axes=[2, 3], keepdims=1)  # (N, C, 1, 1)
    for linear, activation in ((layer.squeeze, "Relu"), (layer.excite, "Sigmoid")):
        weight = graph.weight(linear.weight[:, :, None, None])
        means = graph.node(activation, graph.node("Conv", means, weight, graph.weight(linear.bias)))
    return graph.node("Mul", x, means)


def cropped(graph: Graph, x: str, margin: int) -> str:
    """The map without `margin` points on each side."""
    places = [[margin] * 2, [-margin] * 2, [2, 3]]
    return graph.node("Slice", x, *(graph.constant(place, np.int64) for place in places))
