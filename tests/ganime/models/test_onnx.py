"""ONNX files compute in ONNX Runtime what torch computes, for every kind of generator, clarity and picture."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ganime.drawing.clarity import clear
from ganime.drawing.recipe import latents
from ganime.errors import CheckpointError
from ganime.models.checkpoint import Checkpoint
from ganime.models.onnx_clarity import clarity_onnx
from ganime.models.onnx_graph import TOLERANCE, check, computed
from ganime.models.onnx_networks import generator_onnx, upscaler_onnx
from ganime.nets.clarity import Clarity, orthonormal
from ganime.nets.upscaler import load_upscaler
from tests.ganime.nets.test_prepared import trained_for_a_moment

DIM = 8


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"generator_norm": "spectral"},
        {"generator_norm": "none"},
        {"rgb_stride": 1},
        {"chroma_stride": 2},
        {"rgb_stride": 1, "supersampling": 2, "chroma_stride": 2},
    ],
    ids=str,
)
def test_every_kind_of_generator_draws_the_same(config: dict[str, object]) -> None:
    generator = trained_for_a_moment(**config)
    data = generator_onnx(Checkpoint(generator, name="tiny"))
    for count in (1, 5):  # any number of faces at a time
        z = latents(range(count), DIM)
        assert np.abs(computed(data, {"latents": z}) - generator(torch.from_numpy(z)).numpy()).max() < TOLERANCE


def test_the_file_keeps_the_weights_in_sixteen_bits_and_names_the_model(embedded: Checkpoint) -> None:
    data = generator_onnx(embedded)
    parameters = sum(parameter.numel() for parameter in embedded.generator.parameters())
    assert 2 * parameters < len(data) < 2.2 * parameters
    facts = {entry.key: entry.value for entry in onnx.load_model_from_string(data).metadata_props}
    assert facts == {"model": embedded.name, "revision": embedded.revision}
    z = latents([3, 14], 128)
    difference = computed(data, {"latents": z}) - embedded.generator(torch.from_numpy(z)).numpy()
    assert np.abs(difference).max() < TOLERANCE


def some_clarity(held: int) -> Clarity:
    random = np.random.default_rng(0)
    sides = (DIM, 12, 6, 1)
    weights = tuple(random.standard_normal(sides[n : n + 2]) for n in range(3))
    rows = orthonormal(random.standard_normal((held, DIM))) if held else np.zeros((0, DIM))
    return Clarity(
        weights, tuple(random.standard_normal(sides[n + 1]) for n in range(3)), rows, np.linspace(-3, 3, 101)
    )


@pytest.mark.parametrize("held", [0, 3, DIM - 1])
def test_clarity_moves_several_latents_as_it_moves_each_alone(held: int) -> None:
    clarity = some_clarity(held)
    z = latents(range(40), DIM)
    z[3] = 0
    shares = np.array([0, 0.3, 0.7, 0.95] * 10)
    data = clarity_onnx(clarity, {"revision": "0" * 12})
    moved = computed(data, {"latents": z, "clarity": shares})
    expected = np.stack([clarity.clear(row, share) for row, share in zip(z, shares, strict=True)])
    assert np.abs(moved - expected).max() < TOLERANCE
    assert np.array_equal(moved[::4], z[::4])  # a clarity of 0 changes no bit
    assert np.array_equal(moved[3], z[3])
    facts = {entry.key: entry.value for entry in onnx.load_model_from_string(data).metadata_props}
    assert facts["revision"] == "0" * 12
    assert json.loads(facts["quantiles"]) == clarity.quantiles.tolist()


def test_the_clarity_of_the_embedded_model_moves_the_same(embedded: Checkpoint) -> None:
    assert embedded.clarity
    z = latents(range(12), 128)
    data = clarity_onnx(embedded.clarity, {})
    moved = computed(data, {"latents": z, "clarity": np.full(12, 0.7)})
    assert np.abs(moved - clear(embedded, z, 0.7)).max() < TOLERANCE


def test_the_upscaler_enlarges_pictures_of_any_even_side() -> None:
    net = load_upscaler()
    data = upscaler_onnx(net)
    for height, width in ((20, 20), (24, 32)):
        pictures = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
        assert np.abs(computed(data, {"pictures": pictures.numpy()}) - net(pictures).numpy()).max() < TOLERANCE


def test_a_file_that_computes_something_else_is_refused() -> None:
    generator = trained_for_a_moment()
    data = generator_onnx(Checkpoint(generator, name="tiny"))
    z = latents([1], DIM)
    right = generator(torch.from_numpy(z)).numpy()
    difference = check("It", data, {"latents": z}, lambda: right)
    assert difference is not None
    assert difference < TOLERANCE
    for wrong in (right + 0.01, np.full_like(right, np.nan)):
        with pytest.raises(CheckpointError, match=r"0\.0001"):
            check("It", data, {"latents": z}, lambda wrong=wrong: wrong)


def test_without_onnx_runtime_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganime.models.onnx_graph.find_spec", lambda name: None)
    assert check("It", b"", {}, lambda: np.zeros(1)) is None


COMPUTES = """
import numpy as np
from ganime.models.onnx_graph import Graph, computed, numbers
graph = Graph()
data = graph.model("twice", [numbers("x", 1)], (graph.node("Add", "x", "x"), numbers("y", 1)), {})
print(computed(data, {"x": np.ones(1, np.float32)}))
"""


def test_onnx_runtime_writes_no_id_of_this_machine_and_reports_nothing(
    run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "GITHUB_ACTIONS", "CIRCLECI", "GITLAB_CI", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)  # where it keeps quiet by itself
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    assert run_python("-c", COMPUTES, fresh=True).stdout == "[2.]\n"
    assert list(tmp_path.rglob("*")) == []
