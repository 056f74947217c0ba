"""The command `train`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganime.config import ModelConfig
from ganime.embedded import EMBEDDED
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ganime.nets.critic import FeatureCritic
from ganime.nets.dcgan import Discriminator, Generator
from tests import nursery
from tests.ganime.cli.common import Answer, assert_refused

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ("--image-size", 32, "--batch-size", 2)


@pytest.mark.usefixtures("quick_recipe")
def test_train_makes_a_run_that_can_be_sampled_and_resumed(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    answer = ganime("train", faces_folder, "--out", run, "--from", tiny_folder, "--steps", 2, "--seed", 3, *TRAIN)
    assert answer.status == 0
    assert answer.error == ""
    assert "58 faces for training, 6 held out, 0 skipped" in answer.out
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


@pytest.mark.usefixtures("quick_recipe")
def test_train_grows_and_shrinks_a_model_to_the_image_size(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    wide = tmp_path / "wide"
    config = ModelConfig(image_size=32, latent_dim=8, base_channels=16, max_channels=32)
    save_checkpoint(Checkpoint(Generator(config), Discriminator(config)), wide)
    run, options = tmp_path / "run", ("--steps", 1, "--batch-size", 2)
    answer = ganime("train", faces_folder, "--out", run, "--from", wide, "--image-size", 64, *options)
    assert answer.status == 0
    assert "starts from wide, revision" in answer.out
    assert "grown to 64 px" in answer.out
    assert load_checkpoint(run).generator.config.image_size == 64
    answer = ganime("train", faces_folder, "--out", tmp_path / "back", "--from", run, "--image-size", 32, *options)
    assert answer.status == 0
    assert "shrunk to 32 px" in answer.out
    assert load_checkpoint(tmp_path / "back").generator.config.image_size == 32
    answer = ganime("train", faces_folder, "--out", tmp_path / "no", "--from", tiny_folder, "--image-size", 64)
    assert_refused(answer, "at least 12")


@pytest.mark.usefixtures("quick_recipe")
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


@pytest.mark.usefixtures("quick_recipe")
def test_train_and_evaluate_keep_duplicates_where_asked(
    ganime: Callable[..., Answer], faces_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(faces_folder, tmp_path / "faces")
    for number in range(6):
        shutil.copy(folder / f"{number:03d}.png", folder / f"{number:03d}-again.png")
    options = ("--from", "scratch", "--steps", 1, "--keep-duplicates", *TRAIN)
    answer = ganime("train", folder, "--out", tmp_path / "run", *options)
    assert "63 faces for training, 7 held out, 0 skipped" in answer.out
    answer = ganime("train", folder, "--resume", tmp_path / "run", "--steps", 2)
    assert "63 faces for training, 7 held out, 0 skipped" in answer.out
    assert "not the ones" not in answer.out
    options = ("--reference", folder, "--count", 20, "--keep-duplicates")
    assert "20 faces against 70 real ones" in ganime("evaluate", tiny_folder, *options).out


class Finder:
    """Takes square pictures for faces, and finds two faces in any other."""

    revision = "test"

    def find(self, picture: Image.Image) -> np.ndarray:
        width, height = picture.size
        return np.array([[0, 0, height, 0.9], [width - height, 0, height, 0.8]][: 1 if width == height else 2])


@pytest.mark.usefixtures("quick_recipe")
def test_train_and_audit_cut_faces_out_where_asked_and_a_resumed_run_does_so_again(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganime.cli.common.face_finder", lambda crop: Finder() if crop == "faces" else None)
    folder = shutil.copytree(faces_folder, tmp_path / "faces")
    pair = np.concatenate([np.asarray(Image.open(folder / f"00{number}.png").rotate(180)) for number in (1, 2)], 1)
    Image.fromarray(pair).save(folder / "pair.png")
    report = ganime("audit", folder, "--crop", "faces", "--image-size", 32).out
    assert re.search(r"cropped +2 .*\n.*further faces +1 ", report)
    options = ("--from", "scratch", "--steps", 1, "--crop", "faces", *TRAIN)
    answer = ganime("train", folder, "--out", tmp_path / "run", *options)
    assert "60 faces for training, 6 held out, 0 skipped" in answer.out
    answer = ganime("train", folder, "--resume", tmp_path / "run", "--steps", 2)
    assert "60 faces for training, 6 held out, 0 skipped" in answer.out
    assert "not the ones" not in answer.out
    assert_refused(ganime("train", folder, "--resume", tmp_path / "run", "--crop", "faces"), "--crop")
    assert_refused(ganime("audit", folder, "--crop", "eyes"), "eyes", "faces")


@pytest.mark.usefixtures("quick_recipe")
def test_train_keeps_decoded_faces_in_its_home(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    options = ("--from", "scratch", "--steps", 1, "--home", tmp_path / "home", *TRAIN)
    assert ganime("train", faces_folder, "--out", tmp_path / "run", *options).status == 0
    assert list((tmp_path / "home" / "cache").iterdir())


def test_train_reports_skipped_files_with_the_reason(
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
        (["--out", "run", "--recipe", "secret"], "recipe must be one of"),
        (["--out", "run", "--image-size", 48], "image_size"),
        (["--out", "run", "--eyes", "broad", "--critic", 0], "--critic"),
        (["--out", "run", "--from", "weights/anime-128", "--image-size", 100], "image_size"),
        (["--out", "file"], "is a file"),
        (["--out", "run", "--image-size", -64], "image_size"),
        (["--out", "run", "--image-size", 0], "image_size"),
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
def test_train_refuses_settings_out_of_range(
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
    assert_refused(ganime("train", faces_folder, *options), word)
    assert not (tmp_path / "run").exists()


def test_train_refuses_a_run_inside_the_faces(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    answer = ganime("train", faces_folder, "--out", faces_folder / "deep" / "run", "--steps", 1)
    assert_refused(answer, "sample grids would count as faces")
    assert not (faces_folder / "deep").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("quick_recipe")
def test_train_shrinks_the_embedded_model_for_few_small_faces(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path
) -> None:
    answer = ganime("train", faces_folder, "--out", tmp_path / "run", "--steps", 1, "--no-clarity", *TRAIN)
    assert "starts from anime-128, revision" in answer.out
    assert "shrunk to 32 px" in answer.out


@pytest.mark.parametrize(
    ("name", "word"), [("nowhere", "does not exist"), ("empty", "0 usable faces"), ("text.zip", "damaged")]
)
def test_train_refuses_faces_that_cannot_be_read(
    ganime: Callable[..., Answer], tmp_path: Path, name: str, word: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    assert_refused(ganime("train", tmp_path / name, "--out", tmp_path / "run", "--steps", 1), name, word)
    assert not (tmp_path / "run").exists()


def test_train_never_starts_a_run_on_top_of_another(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path, small_run: Path
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    assert_refused(ganime("train", faces_folder, "--out", run, "--steps", 1), "--resume")


@pytest.mark.parametrize(
    "option", [("--recipe", "classic"), ("--image-size", 64), ("--batch-size", 16), ("--seed", 5)], ids=str
)
def test_train_refuses_to_change_the_settings_of_a_resumed_run(
    ganime: Callable[..., Answer], faces_folder: Path, tmp_path: Path, small_run: Path, option: tuple[str, Any]
) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    assert_refused(ganime("train", faces_folder, "--resume", run, "--steps", 3, *option), option[0])


@pytest.mark.slow
def test_stop_saves_a_resumable_checkpoint(faces_folder: Path, tmp_path: Path, small_run: Path) -> None:
    run = shutil.copytree(small_run, tmp_path / "run")
    command = nursery.command("-m", "ganime", "train", str(faces_folder), "--resume", str(run))
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
