"""The command line: what each command does, and that every refusal is one line and exit status 1."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from ganime import __version__, cli
from ganime.config import ModelConfig, TrainConfig
from ganime.drawing.directions import Direction, Directions, load_directions, save_directions
from ganime.drawing.sampling import generate, interpolate
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import EMBEDDED, TRAINING_FACES_FILES, Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.critic import FeatureCritic
from ganime.nets.dcgan import Discriminator, Generator
from ganime.training.loop import train

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ("--image-size", 32, "--batch-size", 2)


class Answer(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    out: str
    error: str


@pytest.fixture
def ganime(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process, as `python -m ganime` does."""

    def call(*arguments: Any) -> Answer:
        monkeypatch.setattr(sys, "argv", ["ganime", *(str(argument) for argument in arguments)])
        capfd.readouterr()
        status: Any = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code or 0
        return Answer(status, *capfd.readouterr())

    return call


def assert_refused(answer: Answer, *words: str) -> None:
    """Exit status 1, and one line on standard error that says why."""
    assert answer.status == 1
    assert re.fullmatch(r"Error: [^\n]+\n", answer.error)
    for word in words:
        assert word in answer.error


def assert_misused(answer: Answer) -> None:
    """Arguments that cannot even be parsed: exit status 2 and a hint, the custom of command lines."""
    assert answer.status == 2
    assert "Traceback" not in answer.error
    assert "Usage" in answer.error


@pytest.fixture(scope="module")
def small_run(faces: FaceDataset, tiny: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, to be copied."""
    folder = tmp_path_factory.mktemp("small") / "run"
    config = TrainConfig(batch_size=8, precision="fp32", steps=2, save_minutes=0.001)
    list(train(faces, folder, config, tiny.generator.config))
    return folder


# --- all commands


def test_help_names_every_command(ganime: Callable[..., Answer]) -> None:
    answer = ganime("--help")
    assert answer.status == 0
    for command in ("sample", "interpolate", "train", "evaluate", "fit-features", "inspect", "import"):
        assert command in answer.out
        assert ganime(command, "--help").status == 0


@pytest.mark.parametrize(
    "arguments", [["paint"], ["sample", "--count", "many"], ["sample", "--colour", "red"], ["train"], ["interpolate"]]
)
def test_unknown_commands_and_options_are_misuse(ganime: Callable[..., Answer], arguments: list[str]) -> None:
    assert_misused(ganime(*arguments))


@pytest.mark.parametrize(
    ("command", "out"), [("sample", ["--out", "faces"]), ("interpolate", ["--seeds", "1,2", "--out", "walk.webp"])]
)
def test_models_that_cannot_be_read_are_refused(
    ganime: Callable[..., Answer], tmp_path: Path, tiny_folder: Path, command: str, out: list[str]
) -> None:
    rest = [*out[:-1], tmp_path / out[-1]]
    assert_refused(ganime(command, *rest, "--model", tmp_path / "nowhere"), "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_refused(ganime(command, *rest, "--model", empty), "config.json")
    cut = shutil.copytree(tiny_folder, tmp_path / "cut")
    os.truncate(cut / "model.safetensors", 500)
    assert_refused(ganime(command, *rest, "--model", cut), "model.safetensors")
    (cut / "config.json").write_text('{"image_size": 48}')
    assert_refused(ganime(command, *rest, "--model", cut), "image_size")
    assert not (tmp_path / out[-1]).exists()


def test_a_refusal_of_the_real_command_has_no_traceback(run_python: Callable, tmp_path: Path) -> None:
    answer = run_python("-m", "ganime", "sample", "--out", tmp_path / "faces", "--truncation", "nan")
    assert_refused(Answer(answer.returncode, answer.stdout, answer.stderr), "truncation")


# --- sample


def test_sample_writes_one_png_for_each_seed(ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path) -> None:
    answer = ganime("sample", "--model", tiny_folder, "--out", tmp_path / "a" / "b", "--count", 3, "--seed", 7)
    assert answer.status == 0
    assert answer.error == ""
    found = {path.name: np.asarray(Image.open(path)) for path in (tmp_path / "a" / "b").iterdir()}
    assert sorted(found) == ["face-7.png", "face-8.png", "face-9.png"]
    for seed, face in zip((7, 8, 9), generate(load_checkpoint(tiny_folder), (7, 8, 9)), strict=True):
        assert np.array_equal(found[f"face-{seed}.png"], face)


def test_sample_scales_faces(ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path) -> None:
    assert ganime("sample", "--model", tiny_folder, "--out", tmp_path, "--count", 1, "--size", 100).status == 0
    with Image.open(tmp_path / "face-0.png") as image:
        assert image.size == (100, 100)


def test_sample_writes_an_array(ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "faces.npy"
    assert ganime("sample", "--model", tiny_folder, "--npy", path, "--count", 5, "--truncation", 0.5).status == 0
    assert np.array_equal(np.load(path), generate(load_checkpoint(tiny_folder), range(5), 0.5))


def test_sample_takes_the_very_last_seed(ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path) -> None:
    assert ganime("sample", "--model", tiny_folder, "--out", tmp_path, "--seed", 2**32 - 1, "--count", 1).status == 0
    assert [path.name for path in tmp_path.glob("*.png")] == ["face-4294967295.png"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--count", 0], "--count"),
        (["--count", -3], "--count"),
        (["--count", 10**9], "--count"),
        (["--seed", -1], "seed"),
        (["--seed", 2**32], "seed"),
        (["--seed", 2**32 - 1, "--count", 2], "4,294,967,295"),
        (["--truncation", -0.5], "truncation"),
        (["--truncation", 1.6], "truncation"),
        (["--truncation", "nan"], "truncation"),
        (["--truncation", "inf"], "truncation"),
        (["--size", -1], "2048"),
        (["--size", 5000], "2048"),
    ],
    ids=str,
)
def test_sample_refuses_values_out_of_range(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, options: list[Any], word: str
) -> None:
    assert_refused(ganime("sample", "--model", tiny_folder, "--out", tmp_path / "faces", *options), word)
    assert not list(tmp_path.rglob("*.png"))


def test_sample_wants_exactly_one_place_to_write_to(ganime: Callable[..., Answer], tmp_path: Path) -> None:
    assert_refused(ganime("sample"), "--out", "--npy")
    assert_refused(ganime("sample", "--out", tmp_path, "--npy", tmp_path / "x.npy"), "--out", "--npy")


def test_places_that_cannot_be_written_to_are_refused(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    model = ("--model", tiny_folder)
    assert_refused(ganime("sample", *model, "--out", tmp_path / "file", "--count", 1), "file")
    assert_refused(ganime("sample", *model, "--npy", tmp_path, "--count", 1), str(tmp_path))
    walk = ("interpolate", *model, "--seeds", "1,2", "--frames", 2)
    assert_refused(ganime(*walk, "--out", tmp_path / "file" / "walk.webp"), "file")
    assert (tmp_path / "file").read_text() == "mine"


# --- interpolate


@pytest.mark.parametrize("suffix", ["webp", "gif", "png"])
def test_interpolate_writes_an_endless_animation(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"walk.{suffix}"
    answer = ganime(
        "interpolate", "--model", tiny_folder, "--seeds", "3, 14,15", "--out", path, "--frames", 7, "--fps", 10
    )
    assert answer.status == 0
    assert answer.error == ""
    with Image.open(path) as image:
        assert image.n_frames == 7
        image.seek(1)
        image.load()
        assert image.info["loop"] == 0
        assert image.info["duration"] == 100
        assert image.size == (32, 32)


def test_interpolate_shows_the_faces_of_its_seeds(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "walk.webp"
    options = ("--seeds", "3,14", "--frames", 4, "--loop", "--truncation", 0.8)
    assert ganime("interpolate", "--model", tiny_folder, "--out", path, *options).status == 0
    with Image.open(path) as image:
        frames = []
        for number in range(4):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")).astype(int))
    ends = generate(load_checkpoint(tiny_folder), [3, 14], 0.8)
    assert abs(frames[0] - ends[0]).max() <= 1
    assert abs(frames[2] - ends[1]).max() <= 1
    assert abs(frames[1] - frames[3]).max() <= 1


def test_interpolate_that_is_smooth_tarries_at_its_faces(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "walk.webp"
    options = ("--seeds", "3,14", "--frames", 5, "--easing", "smooth")
    assert ganime("interpolate", "--model", tiny_folder, "--out", path, *options).status == 0
    expected = interpolate(load_checkpoint(tiny_folder), [3, 14], 5, easing="smooth")
    with Image.open(path) as image:
        image.seek(1)
        assert abs(np.asarray(image.convert("RGB")).astype(int) - expected[1].astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--seeds", "1"], "2 seeds"),
        (["--seeds", ""], "--seeds"),
        (["--seeds", "a,b"], "--seeds"),
        (["--seeds", "1,,2"], "--seeds"),
        (["--seeds", "1.5,2"], "--seeds"),
        (["--seeds", "1,-2"], "seed"),
        (["--seeds", f"1,{2**32}"], "seed"),
        (["--frames", 1], "frames"),
        (["--frames", 601], "frames"),
        (["--truncation", 2], "truncation"),
        (["--truncation", "nan"], "truncation"),
        (["--size", 4000], "2048"),
        (["--out", "walk.avi"], "walk.avi"),
        (["--easing", "bumpy"], "linear, smooth"),
        (["--out", "walk"], "walk"),
    ],
    ids=str,
)
def test_interpolate_refuses_what_is_no_walk(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, options: list[Any], word: str
) -> None:
    chosen = {"--seeds": "1,2", "--out": "walk.webp", "--frames": 3} | {options[0]: options[1]}
    chosen["--out"] = tmp_path / chosen["--out"]
    flat = [value for pair in chosen.items() for value in pair]
    assert_refused(ganime("interpolate", "--model", tiny_folder, *flat), word)
    assert not list(tmp_path.glob("walk*"))


@pytest.mark.parametrize("fps", [0, -1, 61, "nan"])
def test_interpolate_has_one_to_sixty_frames_a_second(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, fps: Any
) -> None:
    out = ("--out", tmp_path / "walk.webp")
    answer = ganime("interpolate", "--model", tiny_folder, "--seeds", "1,2", "--frames", 2, *out, "--fps", fps)
    assert answer.status in (1, 2)
    assert "Traceback" not in answer.error
    assert not list(tmp_path.glob("walk*"))


# --- inspect


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


def test_inspect_tells_when_there_is_no_discriminator(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "half")
    (folder / "discriminator.safetensors").unlink()
    answer = ganime("inspect", folder)
    assert answer.status == 0
    assert len(totals(answer.out)) == 1
    assert "without a discriminator" in answer.out


def test_inspect_refuses_what_is_no_model(ganime: Callable[..., Answer], tmp_path: Path) -> None:
    assert_refused(ganime("inspect", tmp_path / "nowhere"), "nowhere")
    assert_refused(ganime("inspect", tmp_path), "config.json")


# --- export and import


def test_export_keeps_what_the_copy_check_knows_of_the_training_faces(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_folder, tmp_path / "model")
    for name in TRAINING_FACES_FILES:
        (model / name).write_text(name)
    for out in (tmp_path / "copy", model):
        assert ganime("export", model, "--out", out).status == 0
        assert [(out / name).read_text() for name in TRAINING_FACES_FILES] == list(TRAINING_FACES_FILES)


def test_export_takes_a_model_with_its_directions_and_no_others(
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


def test_import_refuses_what_is_no_generator(ganime: Callable[..., Answer], tiny: Checkpoint, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "model")
    assert_refused(ganime("import", tmp_path / "nowhere.pt", *out), "nowhere.pt")
    (tmp_path / "text.pt").write_text("no weights")
    assert_refused(ganime("import", tmp_path / "text.pt", *out), "text.pt")
    torch.save(Discriminator(tiny.generator.config).state_dict(), tmp_path / "critic.pt")
    assert_refused(ganime("import", tmp_path / "critic.pt", *out), "critic.pt")
    assert not (tmp_path / "model").exists()


# --- evaluate and fit-features


def test_evaluate_measures_a_model_and_keeps_the_figures(
    ganime: Callable[..., Answer], tiny_folder: Path, faces_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "figures.json"
    answer = ganime("evaluate", tiny_folder, "--reference", faces_folder, "--count", 64, "--json", path)
    assert answer.status == 0
    assert answer.error == ""
    assert "64 faces against 64 real ones" in answer.out
    figures = json.loads(path.read_text())
    assert figures["frechet"] > 0
    assert 0 <= figures["precision"] <= 1
    assert f"{figures['frechet']:.2f}" in answer.out


def test_evaluate_finds_a_set_of_faces_equal_to_itself(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "figures.json"
    assert ganime("evaluate", faces_folder, "--reference", faces_folder, "--count", 64, "--json", path).status == 0
    figures = json.loads(path.read_text())
    assert figures["frechet"] == pytest.approx(0, abs=1e-3)
    assert (figures["precision"], figures["recall"], figures["coverage"]) == (1, 1, 1)


def test_evaluate_refuses_what_cannot_be_compared(
    ganime: Callable[..., Answer], tiny_folder: Path, faces_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    against = ("--reference", faces_folder)
    assert_refused(ganime("evaluate", tmp_path / "nowhere", *against), "nowhere")
    assert_refused(ganime("evaluate", tiny_folder, "--reference", tmp_path / "empty"), "0 usable faces")
    assert_refused(ganime("evaluate", faces_folder, *against, "--count", 65), "64 pictures", "65")
    assert_refused(ganime("evaluate", tiny_folder, *against, "--split", "--train", faces_folder), "--split")
    assert_refused(ganime("evaluate", tiny_folder, *against, "--truncation", 9), "truncation")


def test_evaluate_never_acquits_copies_because_the_reference_was_trained_on(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path, draw_face: Callable, tmp_path: Path
) -> None:
    answer = ganime("evaluate", tiny_folder, "--reference", faces_folder, "--train", faces_folder)
    assert_refused(answer, "64 faces are in --reference and in --train", "--split")
    (tmp_path / "others").mkdir()
    for seed in range(100, 130):
        draw_face(seed).save(tmp_path / "others" / f"{seed}.png")
    options = ("--reference", tmp_path / "others", "--train", faces_folder, "--count", 40)
    answer = ganime("evaluate", faces_folder, *options)
    assert answer.status == 0
    assert "copies of training faces" in answer.out


def test_evaluate_judges_every_picture_also_those_that_are_there_again(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "drawn").mkdir()
    for number in range(40):
        shutil.copy(faces_folder / f"{number % 20:03d}.png", tmp_path / "drawn" / f"{number}.png")
    answer = ganime("evaluate", tmp_path / "drawn", "--reference", faces_folder, "--count", 40)
    assert "40 faces against 64 real ones" in answer.out


def test_evaluate_tells_how_many_faces_a_split_needs(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path
) -> None:
    answer = ganime("evaluate", tiny_folder, "--reference", faces_folder, "--split", "--count", 10)
    assert_refused(answer, "6 faces to measure against, the held-out tenth", "about 100 in --reference")


def test_fit_features_refuses_faces_and_labels_that_are_not_there(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    labels = ("--attributes", tmp_path / "labels.csv", "--out", tmp_path / "net")
    assert_refused(ganime("fit-features", faces_folder, *labels), "labels.csv")
    (tmp_path / "labels.csv").write_text("file,smile\nnobody.png,1\n")
    assert_refused(ganime("fit-features", tmp_path / "nowhere", *labels), "nowhere")
    assert_refused(ganime("fit-features", faces_folder, *labels))
    assert not (tmp_path / "net").exists()


# --- train


def test_train_makes_a_run_that_can_be_sampled_and_resumed(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    answer = ganime("train", faces_folder, "--out", run, "--steps", 2, "--seed", 3, *TRAIN)
    assert answer.status == 0
    assert answer.error == ""
    assert "58 faces to learn from, 6 held out, 0 skipped" in answer.out
    assert re.search(r"^Step: 2/2 \[D loss: \d+\.\d{4} G loss: -?\d+\.\d{4}\] 4 images", answer.out, re.MULTILINE)
    assert "ended (steps) after 4 images" in answer.out
    previews = sorted((run / "previews").iterdir())
    assert [int(preview.stem) for preview in previews] == [0, 4]
    for preview in previews:
        with Image.open(preview) as image:
            assert image.size == (8 * 32, 8 * 32)
    assert isinstance(load_checkpoint(run).generator, Generator)
    answer = ganime("train", faces_folder, "--resume", run, "--steps", 3)
    assert answer.status == 0
    assert "Resumed at 4 images" in answer.out
    assert "decoding" not in answer.out
    assert "ended (steps) after 6 images" in answer.out
    assert ganime("inspect", run).status == 0


def test_train_grows_and_shrinks_a_model_to_the_size_that_is_asked_for(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    wide = tmp_path / "wide"
    config = ModelConfig(image_size=32, latent_dim=8, base_channels=16, max_channels=32)
    save_checkpoint(Checkpoint(Generator(config), Discriminator(config)), wide)
    run, options = tmp_path / "run", ("--steps", 1, "--batch-size", 2)
    answer = ganime("train", faces_folder, "--out", run, "--from", wide, "--image-size", 64, *options)
    assert answer.status == 0
    assert "begins from wide, revision" in answer.out
    assert "grown to 64 px" in answer.out
    assert load_checkpoint(run).generator.config.image_size == 64
    answer = ganime("train", faces_folder, "--out", tmp_path / "back", "--from", run, "--image-size", 32, *options)
    assert answer.status == 0
    assert "shrunk to 32 px" in answer.out
    assert load_checkpoint(tmp_path / "back").generator.config.image_size == 32
    answer = ganime("train", faces_folder, "--out", tmp_path / "no", "--from", tiny_folder, "--image-size", 64)
    assert_refused(answer, "at least 12")


@pytest.mark.parametrize(
    ("given", "has_one", "kept"),
    [([], False, 0.0), (["--critic", "0.5"], False, 0.5), ([], True, 1.0), (["--critic", "0"], True, 0.0)],
)
def test_train_on_few_faces_takes_the_critic_of_its_model_or_none_unless_asked(
    ganime: Callable[..., Answer],
    faces_folder: Path,
    tiny: Checkpoint,
    tmp_path: Path,
    given: list[str],
    has_one: bool,
    kept: float,
) -> None:
    save_checkpoint(replace(tiny, critic=FeatureCritic.fresh(32) if has_one else None), tmp_path / "start")
    run, options = tmp_path / "run", ("--steps", 1, "--batch-size", 2, *given)
    assert ganime("train", faces_folder, "--out", run, "--from", tmp_path / "start", *options).status == 0
    assert json.loads((run / "run.json").read_text())["train"]["critic"] == kept


def test_train_and_evaluate_keep_duplicates_where_asked(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(faces_folder, tmp_path / "faces")
    for number in range(6):
        shutil.copy(folder / f"{number:03d}.png", folder / f"{number:03d}-again.png")
    answer = ganime("train", folder, "--out", tmp_path / "run", "--steps", 1, "--keep-duplicates", *TRAIN)
    assert "63 faces to learn from, 7 held out, 0 skipped" in answer.out
    answer = ganime("train", folder, "--resume", tmp_path / "run", "--steps", 2)
    assert "63 faces to learn from, 7 held out, 0 skipped" in answer.out
    assert "not the ones" not in answer.out
    options = ("--reference", folder, "--count", 20, "--keep-duplicates")
    assert "20 faces against 70 real ones" in ganime("evaluate", tiny_folder, *options).out


def test_train_keeps_decoded_faces_in_its_home(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    assert ganime("train", faces_folder, "--out", tmp_path / "run", "--steps", 1, *TRAIN).status == 0
    assert list((tmp_path / "home" / "cache").iterdir())


def test_train_tells_what_it_skipped_and_why(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path, small_run: Path
) -> None:
    folder = shutil.copytree(faces_folder, tmp_path / "faces")
    (folder / "junk.png").write_bytes(b"junk")
    run = shutil.copytree(small_run, tmp_path / "run")
    answer = ganime("train", folder, "--resume", run, "--steps", 3)
    assert answer.status == 0
    assert "1 skipped" in answer.out
    assert "skipped junk.png: not a picture" in answer.out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ([], "--out"),
        (["--out", "run", "--resume", "run"], "--out"),
        (["--resume", "nowhere"], "run.json"),
        (["--out", "run", "--recipe", "secret"], "--recipe"),
        (["--out", "run", "--image-size", 48], "image_size"),
        (["--out", "run", "--eyes", "broad", "--critic", 0], "--eyes is what the critic looks through"),
        (["--out", "run", "--from", "weights/anime-64", "--image-size", 100], "image_size"),
        (["--out", "file"], "is a file"),
        (["--out", "run", "--image-size", -64], "image_size"),
        (["--out", "run", "--batch-size", 1], "batch_size"),
        (["--out", "run", "--batch-size", 0], "batch_size"),
        (["--out", "run", "--seed", -1], "seed"),
        (["--out", "run", "--steps", -5], "steps"),
        (["--out", "run", "--images", -5], "images"),
        (["--out", "run", "--minutes", -5], "minutes"),
        (["--out", "run", "--minutes", "nan"], "minutes"),
        (["--out", "run", "--minutes", "inf"], "minutes"),
        (["--out", "run", "--threads", -1], "threads"),
        (["--out", "run", "--device", "abacus"], "abacus"),
    ],
    ids=str,
)
def test_train_refuses_settings_that_make_no_run(
    ganime: Callable[..., Answer],
    faces_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[Any],
    word: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "weights").symlink_to(EMBEDDED.parent)
    assert_refused(ganime("train", faces_folder, "--home", tmp_path / "home", *options), word)
    assert not (tmp_path / "run").exists()


def test_train_keeps_its_run_out_of_the_faces(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    answer = ganime("train", faces_folder, "--out", faces_folder / "deep" / "run", "--steps", 1)
    assert_refused(answer, "sample grids would count as faces")
    assert not (faces_folder / "deep").exists()


def test_train_shrinks_the_embedded_model_for_few_small_faces(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    answer = ganime("train", faces_folder, "--out", tmp_path / "run", "--steps", 1, *TRAIN[:4])
    assert "begins from anime-64, revision" in answer.out
    assert "shrunk to 32 px" in answer.out


@pytest.mark.parametrize(
    ("name", "word"), [("nowhere", "does not exist"), ("empty", "0 usable faces"), ("text.zip", "neither a folder")]
)
def test_train_refuses_faces_that_cannot_be_read(
    ganime: Callable[..., Answer], tmp_path: Path, name: str, word: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    assert_refused(ganime("train", tmp_path / name, "--out", tmp_path / "run", "--steps", 1), name, word)
    assert not (tmp_path / "run").exists()


def test_train_never_begins_a_run_on_top_of_another(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path, small_run: Path
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    assert_refused(ganime("train", faces_folder, "--out", run, "--steps", 1), "--resume")


@pytest.mark.parametrize(
    "option", [("--recipe", "classic"), ("--image-size", 64), ("--batch-size", 16), ("--seed", 5)], ids=str
)
def test_train_refuses_to_change_what_a_run_began_with(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path, small_run: Path, option: tuple[str, Any]
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    assert_refused(ganime("train", faces_folder, "--resume", run, "--steps", 3, *option), option[0])


def test_stop_saves_a_resumable_checkpoint(faces_folder: Path, tmp_path: Path, small_run: Path) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    command = [sys.executable, "-m", "ganime", "train", str(faces_folder), "--resume", str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout
        assert any(line.startswith("Step") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert error == ""
    ended = re.search(r"ended \(stopped\) after ([\d,]+) images; the model is (.+)", out)
    assert ended
    assert load_checkpoint(ended[2]).training["images"] == int(ended[1].replace(",", ""))


def test_the_package_names_its_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


@pytest.mark.parametrize("command", ["export", "import"])
def test_a_folder_with_other_things_in_it_is_never_replaced(tmp_path: Path, command: str) -> None:
    precious = tmp_path / "precious" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    refused = subprocess.run(
        [sys.executable, "-m", "ganime", command, str(EMBEDDED), "--out", str(precious.parent)],
        capture_output=True,
        text=True,
        cwd=EMBEDDED.parents[1],
    )
    assert refused.returncode == 1
    assert "thesis.txt, which would be lost" in refused.stderr
    assert precious.read_text() == "years of work"
