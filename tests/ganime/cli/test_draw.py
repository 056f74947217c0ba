"""The commands `sample` and `interpolate`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganime.cli import common
from ganime.drawing.clarity import DEFAULT_CLARITY, best_seeds
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate, interpolate
from ganime.drawing.sharpening import sharpened
from ganime.images import sheet
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from tests.ganime.cli.common import Answer, assert_refused, drawn


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


@pytest.mark.parametrize("target", ["--out", "--npy", "--sheet"])
def test_sample_holds_one_batch_of_faces_at_a_time(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []

    def watched(checkpoint: Checkpoint, seeds: range, truncation: float, clarity: float) -> np.ndarray:
        batches.append(len(seeds))
        return generate(checkpoint, seeds, truncation, clarity)

    monkeypatch.setattr(common, "generate", watched)
    path = tmp_path / {"--out": "faces", "--npy": "faces.npy", "--sheet": "faces.png"}[target]
    assert ganime("sample", "--model", tiny_folder, target, path, "--count", 150, "--seed", 5).status == 0
    assert batches == [64, 64, 22]
    expected = generate(load_checkpoint(tiny_folder), range(5, 155))
    if target == "--out":
        found = np.stack([drawn(path / f"face-{seed}.png") for seed in range(5, 155)])
    else:
        found = np.load(path) if target == "--npy" else drawn(path)
        expected = expected if target == "--npy" else sheet(expected)
    np.testing.assert_array_equal(found, expected)


def test_sample_draws_the_last_seed(ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path) -> None:
    assert ganime("sample", "--model", tiny_folder, "--out", tmp_path, "--seed", 2**32 - 1, "--count", 1).status == 0
    assert [path.name for path in tmp_path.glob("*.png")] == ["face-4294967295.png"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--count", 0], "--count"),
        (["--count", -3], "--count"),
        (["--count", 10**9], "100,000"),
        (["--seed", -1], "seed"),
        (["--seed", 2**32], "seed"),
        (["--seed", 2**32 - 1, "--count", 2], "4,294,967,295"),
        (["--truncation", -0.5], "truncation"),
        (["--truncation", 1.6], "truncation"),
        (["--truncation", "nan"], "truncation"),
        (["--truncation", "inf"], "truncation"),
        (["--best-of", 0], "best_of"),
        (["--best-of", 65], "64"),
        (["--best-of", 8], "clarity"),
        (["--best-of", 8, "--seeds", "1,2"], "--seeds"),
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


def test_sample_needs_exactly_one_target(ganime: Callable[..., Answer], tmp_path: Path) -> None:
    assert_refused(ganime("sample"), "--out", "--npy")
    assert_refused(ganime("sample", "--sheet", tmp_path / "x.png", "--count", 10_001), "10,000")
    assert_refused(ganime("sample", "--out", tmp_path, "--npy", tmp_path / "x.npy"), "--out", "--npy")


def test_targets_that_cannot_be_written_are_refused(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    model = ("--model", tiny_folder)
    assert_refused(ganime("sample", *model, "--out", tmp_path / "file", "--count", 1), "file")
    assert_refused(ganime("sample", *model, "--npy", tmp_path, "--count", 1), str(tmp_path))
    walk = ("interpolate", *model, "--seeds", "1,2", "--frames", 2)
    assert_refused(ganime(*walk, "--out", tmp_path / "file" / "walk.webp"), "file")
    assert (tmp_path / "file").read_text() == "mine"


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


@pytest.mark.parametrize("suffix", ["webp", "gif", "png", "mp4"])
def test_a_film_through_a_range_of_seeds_contains_the_recipe_that_recipe_prints(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"walk.{suffix}"
    options = ("--seeds", "3-5,14", "--frames", 8, "--fps", 4, "--loop", "--easing", "smooth", "--truncation", 0.8)
    assert ganime("interpolate", "--model", tiny_folder, "--out", path, *options).status == 0
    film = json.loads(ganime("recipe", path).out)
    assert film["faces"] == [{"seed": seed, "truncation": 0.8} for seed in (3, 4, 5, 14)]
    assert (film["model"], film["seconds"], film["loop"], film["easing"]) == ("tiny", 0.5, True, "smooth")


def test_recipe_prints_that_of_a_face_and_says_where_there_is_none(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    assert ganime("sample", "--model", tiny_folder, "--out", tmp_path, "--count", 1, "--seed", 7).status == 0
    assert Recipe.from_json(ganime("recipe", tmp_path / "face-7.png").out) == Recipe.from_png(tmp_path / "face-7.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    (tmp_path / "note.txt").write_text("no picture")
    assert_refused(ganime("recipe", tmp_path / "plain.png"), "no recipe")
    assert_refused(ganime("recipe", tmp_path / "note.txt"), "readable")
    assert_refused(ganime("recipe", tmp_path / "missing.png"), "missing.png")


def test_smooth_interpolation_slows_down_at_the_faces(
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
        (["--seeds", "4-1"], "smaller end"),
        (["--seeds", "1-"], "seed"),
        (["--seeds", "1-4-6"], "seed"),
        (["--seeds", "0-4294967295"], "at most 600"),
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
def test_interpolate_refuses_values_out_of_range(
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


def test_sample_sharpens_faces_and_says_so_in_their_recipes(
    ganime: Callable[..., Answer], tiny_folder: Path, tmp_path: Path
) -> None:
    assert ganime("sample", "--model", tiny_folder, "--out", tmp_path, "--count", 1, "--sharpen", 128).status == 0
    [expected] = sharpened(generate(load_checkpoint(tiny_folder), [0]), 128)
    assert np.array_equal(drawn(tmp_path / "face-0.png"), expected)
    assert Recipe.from_png(tmp_path / "face-0.png").sharpened == 128
    assert_refused(
        ganime("sample", "--model", tiny_folder, "--out", tmp_path, "--sharpen", 64, "--size", 64), "--sharpen"
    )
    assert_refused(ganime("sample", "--model", tiny_folder, "--npy", tmp_path / "a.npy", "--sharpen", 64), "--sharpen")


@pytest.mark.slow
def test_sample_draws_clear_faces_where_a_clarity_was_fitted(
    ganime: Callable[..., Answer], tiny_folder: Path, faces_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    assert_refused(ganime("sample", "--model", folder, "--out", tmp_path, "--clarity", 0.5), "clarity")
    fitted = ganime("clarity", folder, faces_folder, "--faces", 500)
    assert fitted.status == 0, fitted.error
    assert "clarity.safetensors" in fitted.out
    assert_refused(ganime("clarity", folder, faces_folder, "--faces", 500), "--replace")
    model = load_checkpoint(folder)
    path = tmp_path / "best.npy"
    assert ganime("sample", "--model", folder, "--npy", path, "--seed", 5, "--count", 3, "--best-of", 4).status == 0
    assert np.array_equal(np.load(path), generate(model, best_seeds(model, 5, 3, 4)))
    for options, clarity in (((), DEFAULT_CLARITY), (("--clarity", 0.0), 0.0), (("--clarity", 0.9), 0.9)):
        path = tmp_path / f"{clarity}.npy"
        assert ganime("sample", "--model", folder, "--npy", path, "--count", 8, *options).status == 0
        assert np.array_equal(np.load(path), generate(model, range(8), clarity=clarity))
    assert ganime("vary", 3, "--model", folder, "--out", tmp_path / "v", "--count", 1).status == 0
    assert Recipe.from_png(tmp_path / "v" / "variation-001.png").clarity == DEFAULT_CLARITY
