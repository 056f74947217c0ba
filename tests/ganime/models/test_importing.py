"""Foreign generators: every common layout draws the same faces once imported, everything else is refused with why."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from ganime.config import ModelConfig
from ganime.errors import CheckpointError
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.models.importing import SUPPORTED, ImportOptions, import_generator, weight_files
from ganime.nets.dcgan import Discriminator, Generator
from tests.ganime.models.refusals import refusal

Layers = list[tuple[nn.Module, nn.Module | None]]
PREFIXES = ("", "main", "net", "model", "gen", "layers", "generator", "G.main", "module.main", "_orig_mod.main")
PREFIXES += ("_forward_module.module.net", "module.generator.model.layers")
FORMATS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")


def widths_of(base: int, size: int, cap: int = 4096) -> list[int]:
    depth = size.bit_length() - 3
    return [min(base * 2**level, cap) for level in reversed(range(depth))]


def layers_of(
    latent: int = 6, widths: Sequence[int] = (8, 4, 2), norm: bool = True, bias: bool = False, last_bias: bool = False
) -> Layers:
    """The paper's layers with random weights and statistics: convolution and the norm behind it."""
    layers: Layers = []
    for i, (inputs, outputs) in enumerate(zip([latent, *widths], [*widths, 3], strict=True)):
        last = i == len(widths)
        conv = nn.ConvTranspose2d(inputs, outputs, 4, 2 if i else 1, 1 if i else 0, bias=last_bias if last else bias)
        layers.append((conv, nn.BatchNorm2d(outputs) if norm and not last else None))
    for conv, behind in layers:
        randomize(conv)
        randomize(behind)
    return layers


def randomize(module: nn.Module | None) -> None:
    for name, tensor in module.state_dict().items() if module else ():
        if name == "running_var":
            tensor.uniform_(0.5, 2.0)
        elif tensor.is_floating_point():
            tensor.normal_(1.0 if isinstance(module, nn.BatchNorm2d) and name == "weight" else 0.0, 0.3)


def calibrated(net: nn.Module, latent: int) -> nn.Module:
    """The net with the statistics that its own activations have, as after training."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for _ in range(8):
            net.train()(torch.randn(64, latent)[:, :, None, None])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net.eval()


def flat(layers: Layers) -> nn.Sequential:
    """main.0 convolution, main.1 norm, main.2 ReLU ... as in the best-known example."""
    parts = [part for conv, norm in layers for part in (conv, norm, nn.ReLU()) if part is not None]
    return nn.Sequential(*parts[:-1], nn.Tanh())


def nested(layers: Layers) -> nn.Sequential:
    """net.0.0 convolution, net.0.1 norm; the last convolution stands alone."""
    blocks = [nn.Sequential(*(part for part in (conv, norm) if part), nn.ReLU()) for conv, norm in layers[:-1]]
    return nn.Sequential(*blocks, layers[-1][0], nn.Tanh())


class Named(nn.Module):
    """Layers under the given names, registered in the order of `registered`."""

    def __init__(self, layers: Layers, convs: Sequence[str], norms: Sequence[str], registered: Sequence[str]) -> None:
        super().__init__()
        named = dict(zip(convs, (conv for conv, _ in layers), strict=True))
        named |= dict(zip(norms, (norm for _, norm in layers if norm), strict=True))
        for name in registered:
            parent: nn.Module = self
            *path, own = name.split(".")
            for step in path:
                if step not in dict(parent.named_children()):
                    parent.add_module(step, nn.Module())
                parent = parent.get_submodule(step)
            parent.add_module(own, named[name])
        self.order = [(conv, norm) for conv, norm in zip(convs, [*norms, None], strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in self.order:
            x = self.get_submodule(conv)(x)
            x = torch.relu(self.get_submodule(norm)(x)) if norm else torch.tanh(x)
        return x


def under(prefix: str, net: nn.Module) -> nn.Module:
    """`net` as the attribute `prefix` (dots allowed) of another module."""
    for step in reversed([step for step in prefix.split(".") if step]):
        outer = nn.Module()
        outer.add_module(step, net)
        net = outer
    return net


def save(state: Any, file: Path) -> Path:
    if file.suffix == ".safetensors":
        save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, file)
    else:
        torch.save(state, file)
    return file


def latents(latent: int) -> Tensor:
    return torch.randn(3, latent, generator=torch.Generator().manual_seed(7))


def assert_same_faces(checkpoint: Checkpoint, original: nn.Module, latent: int) -> None:
    z = latents(latent)
    with torch.no_grad():
        wanted = original.eval()(z[:, :, None, None])
        got = checkpoint.generator(z)
    assert got.shape == wanted.shape
    assert wanted.std() > 1e-4
    assert (got - wanted).abs().max() < 1e-5


@st.composite
def originals(draw: st.DrawFn) -> tuple[nn.Module, nn.Module, int, Sequence[int]]:
    """An original net, the same net under a prefix, its latent size and widths."""
    latent, size = draw(st.integers(1, 9)), draw(st.sampled_from([32, 64]))
    base = draw(st.integers(1, 5))
    widths = widths_of(base, size, draw(st.integers(base, 8 * base)))
    torch.manual_seed(draw(st.integers(0, 1000)))
    layers = layers_of(latent, widths, *(draw(st.booleans()) for _ in range(3)))
    net = calibrated(draw(st.sampled_from([flat, nested]))(layers), latent)
    prefix = draw(st.sampled_from(PREFIXES))
    return net, under(prefix, net), latent, widths


WRAPPINGS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda state: state,
    "plain dict": dict,
    **{
        key: lambda state, key=key: {"epoch": 3, key: state, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
        for key in ("generator", "netG", "G", "gen", "state_dict", "model_state_dict", "generator_state_dict", "model")
    },
    "averaged": lambda state: {"params": noise_like(state), "params_ema": state},
    "ema beside its decay": lambda state: {"generator": noise_like(state), "ema": state, "ema_decay": 0.999},
    "ema settings alone": lambda state: {"ema": {"decay": 0.999}, "netG": state},
    "two deep": lambda state: {"state_dict": {"netG": state, "netD": noise_like(state)}, "loss": [0.5, 0.1]},
}


def noise_like(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.full_like(tensor, 5) for name, tensor in state.items()}


@settings(max_examples=20, deadline=None)
@given(original=originals(), suffix=st.sampled_from(FORMATS), wrapping=st.sampled_from(sorted(WRAPPINGS)))
def test_imported_generator_draws_the_faces_of_the_original(
    original: tuple[nn.Module, nn.Module, int, Sequence[int]], suffix: str, wrapping: str
) -> None:
    net, prefixed, latent, widths = original
    with torch.no_grad():
        assume(net(latents(latent)[:, :, None, None]).std() > 1e-3)  # not every narrow net draws anything
    state = prefixed.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        file = save(state if suffix == ".safetensors" else WRAPPINGS[wrapping](state), Path(folder) / f"faces{suffix}")
        # One or two channels tell no activation, and random pictures may well be saturated.
        checkpoint = import_generator(file, ImportOptions(activation="relu", norm_eps=1e-5, output="tanh"))
    assert checkpoint.generator.config.channels == tuple(widths)
    assert_same_faces(checkpoint, net, latent)


def named_layouts() -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Names of four convolutions and three norms, and the order in which the module registers them."""
    numbers = ["1", "2", "3"]
    layouts = {}
    for conv, norm in (("conv", "bn"), ("deconv", "bn"), ("tconv", "norm"), ("up.", "bn."), ("ct", "batch_norm")):
        convs, norms = [conv + n for n in (*numbers, "4")], [norm + n for n in numbers]
        both = [name for pair in zip(convs, norms, strict=False) for name in pair] + convs[3:]
        layouts[f"{conv}1 {norm}1"] = (convs, norms, both)
        layouts[f"{conv}1 {norm}1 apart"] = (convs, norms, convs + norms)
        layouts[f"{norm}1 first"] = (convs, norms, norms + convs)
    layouts["latent in the name"] = (
        ["ct1_latent", "ct2", "ct3", "ct4"],
        ["bn1", "bn2", "bn3"],
        ["ct1_latent", "bn1", "ct2", "bn2", "ct3", "bn3", "ct4"],
    )
    layouts["blocks with the norm first"] = (
        ["first.conv", "block1.conv", "block2.conv", "last"],
        ["first.bn", "block1.bn", "block2.bn"],
        ["first.bn", "first.conv", "block1.bn", "block1.conv", "block2.bn", "block2.conv", "last"],
    )
    layouts["words that sort wrongly"] = (
        ["start", "early", "late", "colour"],
        ["start_norm", "early_norm", "late_norm"],
        ["colour", "early", "early_norm", "late", "late_norm", "start", "start_norm"],
    )
    return layouts


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("layout", sorted(named_layouts()))
def test_named_layers_are_told_from_order_numbers_and_shapes(layout: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = Named(layers_of(5, (8, 4, 2), last_bias=True), *named_layouts()[layout])
    assert_same_faces(import_generator(save(net.state_dict(), tmp_path / f"named{suffix}")), net, 5)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("layout", ["conv1 bn1", "conv1 bn1 apart", "blocks with the norm first", "up.1 bn.1"])
def test_layers_of_equal_shape_keep_the_order_of_their_numbers(layout: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(2)
    net = Named(layers_of(5, (4, 4, 4)), *named_layouts()[layout])
    assert_same_faces(import_generator(save(net.state_dict(), tmp_path / f"equal{suffix}")), net, 5)


def test_more_than_nine_layers_sort_by_number_in_safetensors(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = flat(layers_of(4, (2, 2, 2, 2, 2), bias=True))
    checkpoint = import_generator(save(under("main", net).state_dict(), tmp_path / "deep.safetensors"))
    assert checkpoint.generator.config.image_size == 128
    assert_same_faces(checkpoint, net, 4)


def test_largest_size_is_256(tmp_path: Path) -> None:
    net = flat(layers_of(4, (4, 4, 4, 4, 2, 1)))
    checkpoint = import_generator(save(net.state_dict(), tmp_path / "large.pt"))
    assert checkpoint.generator.config == ModelConfig(256, 4, 1, 4)


def test_state_dict_that_was_sorted_by_name_is_put_right(tmp_path: Path) -> None:
    torch.manual_seed(4)
    net = flat(layers_of(5, (8, 4, 2, 1)))
    state = dict(sorted(under("main", net).state_dict().items()))
    assert_same_faces(import_generator(save(state, tmp_path / "sorted.pt")), net, 5)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("generator", "discriminator"), [("generator", "discriminator"), ("netG", "netD"), ("G", "D"), ("gen", "critic")]
)
def test_generator_is_found_beside_the_discriminator(
    generator: str, discriminator: str, suffix: str, tmp_path: Path
) -> None:
    net = flat(layers_of())
    state = {f"{discriminator}.main.{name}": tensor for name, tensor in picture_to_number().state_dict().items()}
    state |= {f"{generator}.main.{name}": tensor for name, tensor in net.state_dict().items()}
    state = {f"module.{name}": tensor for name, tensor in state.items()}
    wrapped = state if suffix == ".safetensors" else {"state_dict": state, "global_step": 7, "callbacks": {}}
    assert_same_faces(import_generator(save(wrapped, tmp_path / f"both{suffix}")), net, 6)


def test_averaged_generator_is_preferred(tmp_path: Path) -> None:
    net = flat(layers_of())
    states = {"g_ema": net.state_dict(), "g": noise_like(net.state_dict()), "d": picture_to_number().state_dict()}
    side_by_side = {f"{head}.{name}": tensor for head, state in states.items() for name, tensor in state.items()}
    assert_same_faces(import_generator(save(states, tmp_path / "nested.pt")), net, 6)
    assert_same_faces(import_generator(save(side_by_side, tmp_path / "flat.safetensors")), net, 6)


def test_weight_average_of_torch_is_read(tmp_path: Path) -> None:
    net = flat(layers_of())
    averaged = torch.optim.swa_utils.AveragedModel(net, use_buffers=True)
    assert_same_faces(import_generator(save(averaged.state_dict(), tmp_path / "averaged.pt")), net, 6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_precisions_become_fp32(dtype: torch.dtype, suffix: str, tmp_path: Path) -> None:
    net = flat(layers_of()).to(dtype)
    checkpoint = import_generator(save(net.state_dict(), tmp_path / f"precise{suffix}"))
    assert {parameter.dtype for parameter in checkpoint.generator.parameters()} == {torch.float32}
    assert_same_faces(checkpoint, net.float(), 6)


@pytest.mark.filterwarnings("ignore:.*spectral_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("form", [spectral_norm, parametrizations.spectral_norm])
def test_spectral_norm_is_folded_into_the_weights(form: Any, suffix: str, norm: bool, tmp_path: Path) -> None:
    torch.manual_seed(5)
    net = flat([(form(conv), behind) for conv, behind in layers_of(norm=norm, bias=True, last_bias=True)])
    with torch.no_grad():
        for _ in range(5):  # lets its power iteration settle
            net(latents(6)[:, :, None, None])
    checkpoint = import_generator(save(net.state_dict(), tmp_path / f"spectral{suffix}"))
    assert checkpoint.generator.config.generator_norm == ("batch" if norm else "none")
    assert_same_faces(checkpoint, net, 6)


def test_batch_norm_without_scale_is_read(tmp_path: Path) -> None:
    layers = [(conv, norm and nn.BatchNorm2d(norm.num_features, affine=False)) for conv, norm in layers_of()]
    for _, norm in layers:
        randomize(norm)
    net = flat(layers)
    assert_same_faces(import_generator(save(net.state_dict(), tmp_path / "plain.pt")), net, 6)


@pytest.mark.parametrize("norm", ["batch", "none", "spectral"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_own_generators_can_be_imported(norm: str, suffix: str, tmp_path: Path) -> None:
    original = Generator(ModelConfig(64, 5, 2, 4, norm))
    with torch.no_grad():
        for _ in range(5):  # batch statistics, and spectral norm's power iteration
            original.train()(latents(5))
    original.eval()
    checkpoint = import_generator(save(original.state_dict(), tmp_path / f"own{suffix}"))
    with torch.no_grad():
        assert (checkpoint.generator(latents(5)) - original(latents(5))).abs().max() < 1e-5


def test_checkpoint_is_ready_to_sample_and_tells_its_origin(tmp_path: Path) -> None:
    file = save(flat(layers_of()).state_dict(), tmp_path / "netG_epoch_24.pth")
    before = torch.get_rng_state()
    checkpoint = import_generator(file)
    assert torch.equal(torch.get_rng_state(), before)
    assert checkpoint.name == "netG_epoch_24"
    assert checkpoint.training["imported_from"] == "netG_epoch_24.pth"
    assert checkpoint.discriminator is None
    assert not checkpoint.generator.training
    assert not any(parameter.requires_grad for parameter in checkpoint.generator.parameters())
    assert {parameter.device.type for parameter in checkpoint.generator.parameters()} == {"cpu"}


def test_imported_model_can_be_saved_loaded_and_trained_on(tmp_path: Path) -> None:
    checkpoint = import_generator(save(flat(layers_of()).state_dict(), tmp_path / "gen.pth.tar.pt"))
    save_checkpoint(checkpoint, tmp_path / "model")
    loaded = load_checkpoint(tmp_path / "model")
    assert loaded.revision == checkpoint.revision
    assert loaded.training == checkpoint.training
    generator = checkpoint.generator.train().requires_grad_(True)
    generator(latents(6)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())


# --- what is refused


def picture_to_number(norm: bool = True, bias: bool = False) -> nn.Sequential:
    parts: list[nn.Module] = []
    widths = [3, 2, 4, 8]
    for inputs, outputs in itertools.pairwise(widths):
        parts.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias))
        if norm and inputs != 3:
            parts.append(nn.BatchNorm2d(outputs))
        parts.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*parts, nn.Conv2d(8, 1, 4, 1, 0, bias=bias))


class Payload:
    """A pickle that touches a file when it is unpickled by a careless reader."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def test_code_in_a_pickle_is_named_and_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    file = save({"main.0.weight": torch.zeros(2, 2, 4, 4), "extra": Payload(marker)}, tmp_path / "evil.pt")
    text = refusal(file)
    assert "system" in text
    assert "state_dict()" in text
    assert not marker.exists()
    (tmp_path / "control.pkl").write_bytes(pickle.dumps(Payload(marker)))
    pickle.loads((tmp_path / "control.pkl").read_bytes())
    assert marker.exists(), "the payload works where it is let"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_bare_pickle_is_refused_unrun(protocol: int, tmp_path: Path) -> None:
    marker, file = tmp_path / "ran", tmp_path / "evil.bin"
    file.write_bytes(pickle.dumps(Payload(marker), protocol))
    assert "runs no code" in refusal(file)
    assert not marker.exists()


def test_pickled_module_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    text = refusal(save(flat(layers_of()), tmp_path / "whole.pth"))
    assert "torch.nn.modules.container.Sequential" in text
    assert "save model.state_dict()" in text


def test_torchscript_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "script.pt"
    with zipfile.ZipFile(file, "w") as archive:  # what marks one, without the deprecated compiler
        for name in ("constants.pkl", "data.pkl", "version"):
            archive.writestr(f"script/{name}", b"3\n")
    assert "runs no code" in refusal(file)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"P", b"hello, these are no weights\n" * 9, b"\x80\x02", b"PK\x03\x04" * 50])
def test_files_that_hold_no_weights_are_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"broken{suffix}"
    file.write_bytes(content)
    refusal(file)


@settings(max_examples=40, deadline=None)
@given(
    suffix=st.sampled_from([".pt", ".safetensors"]),
    cut=st.floats(0, 0.999),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=3),
)
def test_damaged_file_is_refused_or_draws_finite_faces(
    suffix: str, cut: float, damage: list[tuple[float, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = save(flat(layers_of()).state_dict(), Path(folder) / f"cut{suffix}")
        content = bytearray(file.read_bytes())
        for place, byte in damage:
            content[int(place * len(content))] = byte
        file.write_bytes(content if damage else content[: int(cut * len(content))])
        if not damage:
            refusal(file)
            return
        with contextlib.suppress(CheckpointError):
            assert import_generator(file).generator.config.image_size == 32


def test_missing_files_folders_and_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "face.png").write_bytes(b"\x89PNG\r\n")
    assert "missing" in refusal(tmp_path / "nowhere.pt")
    assert "folder" in refusal(tmp_path / "folder.pt")
    assert "a picture" in refusal(tmp_path / "face.png")


def test_large_files_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(flat(layers_of()).state_dict(), tmp_path / "large.pt")
    monkeypatch.setattr(weight_files, "MAX_IMPORT_BYTES", file.stat().st_size - 1)
    assert "bytes" in refusal(file)


def test_compressed_files_count_as_large_as_they_unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, bomb = save({"main.0.weight": torch.zeros(16, 16, 4, 4)}, tmp_path / "plain.pt"), tmp_path / "bomb.pt"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    monkeypatch.setattr(weight_files, "MAX_IMPORT_BYTES", 10_000)
    assert bomb.stat().st_size < 10_000
    assert "unpacks to" in refusal(bomb)


def test_tensor_that_only_pretends_to_be_large_is_refused(tmp_path: Path) -> None:
    state = {"main.0.weight": torch.zeros(1).expand(2**20, 2**20, 4, 4)}
    assert "more weights" in refusal(save(state, tmp_path / "expanded.pt"))


def foreign_state(change: Callable[[dict[str, Tensor]], Any]) -> dict[str, Tensor]:
    state = dict(flat(layers_of()).state_dict())
    change(state)
    return state


def put(name: str, value: Tensor) -> dict[str, Tensor]:
    return foreign_state(lambda state: state.update({name: value}))


def upsampling() -> nn.Module:
    parts: list[nn.Module] = []
    for inputs, outputs in ((6, 16), (16, 8), (8, 4), (4, 3)):
        parts += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*parts)


def attending() -> nn.Module:
    layers = flat(layers_of())
    query = nn.Conv2d(4, 1, 1)
    return nn.Sequential(*layers[:6], nn.ModuleDict({"query": query, "key": nn.Conv2d(4, 1, 1)}), *layers[6:])


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a discriminator": (lambda: picture_to_number().state_dict(), "discriminator"),
    "a discriminator with biases": (lambda: picture_to_number(bias=True).state_dict(), "discriminator"),
    "a discriminator without norms": (lambda: picture_to_number(norm=False).state_dict(), "discriminator"),
    "our discriminator": (lambda: Discriminator(ModelConfig(32, 4, 2, 8)).state_dict(), "discriminator"),
    "our batch-norm discriminator": (
        lambda: Discriminator(ModelConfig(32, 4, 2, 8, discriminator_norm="batch")).state_dict(),
        "discriminator",
    ),
    "a discriminator that ends in a Linear layer": (
        lambda: nn.Sequential(*picture_to_number()[:-1], nn.Flatten(), nn.Linear(128, 1)).state_dict(),
        "discriminator",
    ),
    "labels of which none was chosen": (lambda: put("labels.weight", torch.zeros(10, 6)), "draws 10 classes"),
    "attention": (lambda: attending().state_dict(), "no order of its layers"),
    "a mapping network": (
        lambda: {"mapping.0.weight": torch.zeros(8, 8), "synthesis.const": torch.zeros(1, 8, 4, 4)},
        "synthesis is of a kind",
    ),
    "nine layers": (lambda: flat(layers_of(widths=(1,) * 8)).state_dict(), "1024 px"),
    "no layers": (lambda: {"n": torch.zeros(())}, "n"),
    "nothing": (dict, "nothing"),
    "a list": (lambda: [torch.zeros(2)], "list"),
    "an optimizer": (lambda: {"optimizer": {"state": {}, "param_groups": [1]}, "epoch": 3}, "optimizer, epoch"),
    "a latent out of range": (lambda: flat(layers_of(5000, (4, 2, 1))).state_dict(), "latent_dim"),
    "a broken chain": (lambda: put("3.weight", torch.zeros(7, 5, 4, 4)), "3 (7, 5, 4, 4)"),
    "NaN": (lambda: put("0.weight", torch.full((6, 8, 4, 4), torch.nan)), "0.weight holds NaN"),
    "a number beyond fp32": (
        lambda: put("0.weight", torch.full((6, 8, 4, 4), 1e300, dtype=torch.float64)),
        "0.weight holds NaN",
    ),
    "negative variance": (lambda: put("1.running_var", torch.full((8,), -1.0)), "1.running_var holds"),
    "whole numbers": (lambda: put("0.weight", torch.zeros(6, 8, 4, 4, dtype=torch.int8)), "torch.int8"),
    "complex numbers": (lambda: put("0.weight", torch.zeros(6, 8, 4, 4, dtype=torch.complex64)), "torch.complex64"),
    "norms of unlike lengths": (lambda: put("1.running_mean", torch.zeros(7)), "running_mean (7,)"),
    "a bias of another length": (lambda: put("0.bias", torch.zeros(5)), "by its bias"),
    "PReLU": (lambda: put("2.weight", torch.zeros(1)), "layer 2 is a learned activation"),
    "noise strengths": (lambda: put("noise", torch.tensor(0.5)), "noise"),
    "volumes": (lambda: put("0.weight", torch.zeros(6, 8, 4, 4, 4)), "(6, 8, 4, 4, 4)"),
    "spectral norm of another shape": (
        lambda: {"0.weight_orig": torch.ones(6, 8, 4, 4), "0.weight_u": torch.ones(5), "0.weight_v": torch.ones(128)},
        "spectral norm",
    ),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("case", sorted(REFUSED))
def test_other_nets_are_refused_with_what_was_found(case: str, suffix: str, tmp_path: Path) -> None:
    make, found = REFUSED[case]
    state = make()
    state = state.state_dict() if isinstance(state, nn.Module) else state
    if suffix == ".safetensors" and case in ("a list", "an optimizer"):
        pytest.skip("safetensors hold tensors alone")
    text = refusal(save(state, tmp_path / f"other{suffix}"))
    assert found in text
    assert SUPPORTED in text


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("form", [weight_norm, parametrizations.weight_norm])
def test_weight_norm_is_refused(form: Any, tmp_path: Path) -> None:
    net = flat([(form(conv), norm) for conv, norm in layers_of()])
    assert "does not know" in refusal(save(net.state_dict(), tmp_path / "weights.pt"))


def test_layers_that_only_guessing_could_order_are_refused(tmp_path: Path) -> None:
    names = ["in", "early", "late", "out"]
    net = nn.ModuleDict({name: conv for name, (conv, _) in zip(names, layers_of(5, (4, 4, 4)), strict=True)})
    assert "whether early or late comes first" in refusal(save(net.state_dict(), tmp_path / "words.safetensors"))
    ordered = import_generator(save(net.state_dict(), tmp_path / "words.pt")).generator
    assert torch.equal(ordered.state_dict()["blocks.0.0.weight"], net["early"].state_dict()["weight"])


def test_norms_that_only_guessing_could_place_are_refused(tmp_path: Path) -> None:
    state = collections.OrderedDict()
    for name, (conv, norm) in zip(["conv1", "conv2", "conv3", "conv4"], layers_of(5, (4, 4, 4)), strict=True):
        state[f"{name}.weight"] = conv.state_dict()["weight"]
        for key, tensor in norm.state_dict().items() if norm else ():
            state[f"{({'conv1': 'one', 'conv2': 'two', 'conv3': 'three'})[name]}.{key}"] = tensor
    assert "comes first" in refusal(save(state, tmp_path / "words.safetensors"))
    import_generator(save(state, tmp_path / "words.pt"))
