"""The commands `inspect`, `export` and `import`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ganime.drawing.directions import Direction, Directions, load_directions, save_directions
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import TRAINING_FACES_FILES, Checkpoint, load_checkpoint
from ganime.models.onnx_graph import TOLERANCE, computed
from ganime.nets.dcgan import Discriminator
from tests.ganime.cli.common import Answer, assert_refused
from tests.ganime.models.foreign_nets import dcgan, trained


def totals(text: str) -> list[tuple[int, int]]:
    """Parameters and multiply-adds of each table that `inspect` prints."""
    lines = [line for line in text.splitlines() if line.startswith("total")]
    return [(int(a), int(b)) for a, b in (line.replace(",", "").split()[1:] for line in lines)]


def parameters_of(net: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_inspect_adds_up_both_nets(ganime: Callable[..., Answer], tiny_folder: Path, tiny: Checkpoint) -> None:
    answer = ganime("inspect", tiny_folder)
    assert answer.status == 0
    assert tiny.discriminator is not None
    found = totals(answer.out)
    assert [parameters for parameters, _ in found] == [parameters_of(tiny.generator), parameters_of(tiny.discriminator)]
    up = 8 * 16 * 16 + 16 * 16 * 8 * 16 + 64 * 8 * 4 * 16 + 256 * 4 * 3 * 16
    down = 256 * 3 * 4 * 16 + 64 * 4 * 8 * 16 + 16 * 8 * 16 * 16 + 16 * 16
    assert [operations for _, operations in found] == [up, down]
    assert load_checkpoint(tiny_folder).revision in answer.out


def test_inspect_lists_every_layer_with_its_shape(ganime: Callable[..., Answer], tiny_folder: Path) -> None:
    lines = ganime("inspect", tiny_folder).out.splitlines()
    for layer, shape in (
        ("stem", "16 x 4 x 4"),
        ("blocks.0", "8 x 8 x 8"),
        ("to_rgb", "3 x 32 x 32"),
        ("head", "1 x 1 x 1"),
    ):
        assert any(line.startswith(layer) and shape in line for line in lines)


def test_inspect_reports_a_missing_discriminator(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "half")
    (folder / "discriminator.safetensors").unlink()
    answer = ganime("inspect", folder)
    assert answer.status == 0
    assert len(totals(answer.out)) == 1
    assert "no discriminator" in answer.out


def test_inspect_refuses_other_folders(ganime: Callable[..., Answer], tmp_path: Path) -> None:
    assert_refused(ganime("inspect", tmp_path / "nowhere"), "nowhere")
    assert_refused(ganime("inspect", tmp_path), "config.json")


def test_export_keeps_the_description_of_the_training_faces(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    for name in TRAINING_FACES_FILES:
        (model / name).write_text(name)
    for out in (tmp_path / "copy", model):
        assert ganime("export", model, "--out", out).status == 0
        assert [(out / name).read_text() for name in TRAINING_FACES_FILES] == list(TRAINING_FACES_FILES)


def test_export_copies_a_model_with_its_own_directions_only(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    tiny = load_checkpoint(model)
    way = Direction("smile", "own", np.ones(tiny.generator.config.latent_dim))
    save_directions(Directions("tiny", tiny.revision, (way,)), model)
    for _ in range(2):  # the second time over the first
        assert ganime("export", model, "--out", tmp_path / "copy").status == 0
    copy = load_checkpoint(tmp_path / "copy")
    found = load_directions(copy.folder, copy.revision, copy.generator.config.latent_dim)
    assert found
    assert found.names == ("smile",)
    save_directions(Directions("other", "0" * 12, (way,)), model)
    assert_refused(ganime("export", model, "--out", tmp_path / "other"), "made for the weights of revision '0000")


def test_import_makes_a_model_that_draws_the_same_faces(
    ganime: Callable[..., Answer], tiny: Checkpoint, tmp_path: Path
) -> None:
    torch.save(tiny.generator.state_dict(), tmp_path / "weights.pt")
    answer = ganime("import", tmp_path / "weights.pt", "--out", tmp_path / "model")
    assert answer.status == 0
    assert answer.error == ""
    found = generate(load_checkpoint(tmp_path / "model"), range(4))
    assert abs(found.astype(int) - generate(tiny, range(4))).max() <= 2


def test_import_says_what_was_found_and_how_well_it_matches(ganime: Callable[..., Answer], tmp_path: Path) -> None:
    torch.save({"gen": trained(dcgan(lambda: torch.nn.LeakyReLU(0.2))).state_dict()}, tmp_path / "weights.pkl")
    answer = ganime("import", tmp_path / "weights.pkl", "--out", tmp_path / "model")
    assert answer.status == 0
    for found in ("32 px", "activation: LeakyReLU 0.2", "mismatch 0.0", "output: tanh", "--output", "under gen"):
        assert found in answer.out, answer.out
    options = ("--activation", "relu", "--output", "sigmoid", "--norm-eps", "1e-3", "--key", "gen", "--size", "32")
    answer = ganime("import", tmp_path / "weights.pkl", "--out", tmp_path / "model", *options)
    for found in ("activation: ReLU", "output: sigmoid", "norm eps: 0.001"):
        assert found in answer.out, answer.out
    assert "sigmoid" in (tmp_path / "model" / "README.md").read_text()


def test_import_refuses_options_out_of_range(ganime: Callable[..., Answer], tmp_path: Path) -> None:
    torch.save(trained(dcgan()).state_dict(), tmp_path / "weights.pkl")
    for option, value in (("--activation", "wavy"), ("--output", "wavy"), ("--key", "wavy"), ("--label", "3")):
        answer = ganime("import", tmp_path / "weights.pkl", "--out", tmp_path / "model", option, value)
        assert_refused(answer, value)
    assert not (tmp_path / "model").exists()


def test_import_refuses_other_files(ganime: Callable[..., Answer], tiny: Checkpoint, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "model")
    assert_refused(ganime("import", tmp_path / "nowhere.pt", *out), "nowhere.pt")
    (tmp_path / "text.pt").write_text("no weights")
    assert_refused(ganime("import", tmp_path / "text.pt", *out), "text.pt")
    torch.save(Discriminator(tiny.generator.config).state_dict(), tmp_path / "critic.pt")
    assert_refused(ganime("import", tmp_path / "critic.pt", *out), "critic.pt")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_folder_with_other_files_is_never_replaced(
    ganime: Callable[..., Answer], tmp_path: Path, command: str
) -> None:
    precious = tmp_path / "precious" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    assert_refused(ganime(command, EMBEDDED, "--out", precious.parent), "thesis.txt")
    assert precious.read_text() == "years of work"


def test_export_writes_onnx_files_that_agree_with_torch(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    file, upscaler = tmp_path / "new" / "tiny.onnx", tmp_path / "upscaler.onnx"
    answer = ganime("export", tiny_folder, "--onnx", file, "--upscaler", upscaler)
    assert answer.status == 0, answer.error
    assert f"{file.stat().st_size:,} bytes" in answer.out
    assert "of torch in ONNX Runtime" in answer.out
    z = latents([3], 8)
    expected = load_checkpoint(tiny_folder).generator(torch.from_numpy(z)).numpy()
    assert np.abs(computed(file.read_bytes(), {"latents": z}) - expected).max() < TOLERANCE
    assert upscaler.stat().st_size > 2_000_000


def test_export_refuses_what_it_cannot_write(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(ganime("export", tiny_folder), "--out", "--onnx")
    assert_refused(ganime("export", tiny_folder, "--onnx", tmp_path / "tiny.pt"), ".onnx")
    assert_refused(ganime("export", tiny_folder, "--clarity", tmp_path / "clarity.onnx"), "ganime clarity")
    monkeypatch.setattr("ganime.cli.page.find_spec", lambda name: None)
    assert_refused(ganime("export", tiny_folder, "--onnx", tmp_path / "tiny.onnx"), "pip install '.[onnx]'")
    assert not list(tmp_path.glob("*.onnx"))
