"""The commands that explore from a face: they write what the engine's functions return, with recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganime.drawing import direction_search as direction_fit
from ganime.drawing import projection, ranges
from ganime.drawing.directions import Direction, Directions, load_directions, save_directions, steer
from ganime.drawing.mixing import arithmetic, breed, vary
from ganime.drawing.recipe import Recipe, latent, latents, rounded
from ganime.drawing.sampling import generate_recipes, render
from ganime.errors import CheckpointError, ConfigError, DataError, GanimeError, RecipeError
from ganime.images import png_bytes
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from tests.ganime.cli.common import drawn, recipe_in, run


@pytest.fixture
def steerable(tiny: Checkpoint, tiny_folder: Path) -> Any:
    directions = Directions("tiny", tiny.revision, (Direction("smile", "own", np.eye(8, dtype=np.float32)[0]),))
    save_directions(directions, tiny_folder)
    yield directions
    for name in ("directions.json", "directions.safetensors"):
        (tiny_folder / name).unlink()


def test_steer_moves_a_face_and_keeps_its_recipe(
    tiny: Checkpoint, tiny_folder: Path, tmp_path: Path, steerable: Directions
) -> None:
    out = tmp_path / "face.png"
    run("steer", "7", "--by", "smile=2", "--out", out, "--model", tiny_folder)
    wanted = rounded(steer(latent(7, 8), steerable, {"smile": 2.0}))
    np.testing.assert_array_equal(drawn(out), render(load_checkpoint(tiny_folder).generator, wanted[None])[0])
    np.testing.assert_array_equal(recipe_in(out).latent(8), wanted)
    assert (recipe_in(out).seed, recipe_in(out).revision) == (7, tiny.revision)
    with pytest.raises(RecipeError, match="NAME=AMOUNT"):
        run("steer", "7", "--by", "smile", "--out", out, "--model", tiny_folder)
    with pytest.raises(RecipeError, match="no direction 'frown'; there are smile"):
        run("steer", "7", "--by", "frown=1", "--out", out, "--model", tiny_folder)


def test_a_direction_that_is_given_twice_is_refused_by_name(
    tiny_folder: Path, tmp_path: Path, steerable: Directions
) -> None:
    amounts = ("--by", "smile=1", "--by", "smile=2", "--model", tiny_folder)
    with pytest.raises(RecipeError, match="smile more than once"):
        run("steer", "7", *amounts, "--out", tmp_path / "face.png")
    with pytest.raises(RecipeError, match="smile more than once"):
        run("name-direction", "both", *amounts)


def test_steer_says_how_to_get_directions(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="ganime directions MODEL"):
        run("steer", "7", "--by", "smile=2", "--out", tmp_path / "face.png", "--model", tiny_folder)


def test_vary_breed_and_mix_draw_what_the_functions_return(tiny_folder: Path, tmp_path: Path) -> None:
    model = load_checkpoint(tiny_folder)
    a, b, c = latents([1, 2, 3], 8)
    run(
        "vary", "1", "--out", tmp_path / "v", "--strength", "0.4", "--count", "3", "--seed", "9", "--model", tiny_folder
    )
    run("breed", "1", "2", "3", "--out", tmp_path / "b", "--count", "4", "--model", tiny_folder)
    run("mix", "1", "2", "3", "--out", tmp_path / "mix.png", "--model", tiny_folder)
    for folder, wanted in (("v", vary(a, 0.4, 3, 9)), ("b", breed(np.stack([a, b, c]), 4))):
        files = sorted((tmp_path / folder).iterdir())
        np.testing.assert_array_equal(np.stack([drawn(file) for file in files]), render(model.generator, wanted))
        np.testing.assert_array_equal(generate_recipes(model, [recipe_in(file) for file in files]), drawn_all(files))
    np.testing.assert_array_equal(drawn(tmp_path / "mix.png"), render(model.generator, arithmetic(a, b, c)[None])[0])
    run(
        "vary", tmp_path / "mix.png", "--out", tmp_path / "w", "--strength", "0", "--count", "1", "--model", tiny_folder
    )
    np.testing.assert_array_equal(drawn(tmp_path / "w" / "variation-001.png"), drawn(tmp_path / "mix.png"))


@pytest.mark.parametrize("command", [("vary", "{}", "--out"), ("steer", "{}", "--by", "smile=1", "--out")])
def test_a_seed_of_thousands_of_digits_is_refused(
    tiny_folder: Path, tmp_path: Path, steerable: Any, command: tuple[str, ...]
) -> None:
    arguments = [part.format("1" * 5000) for part in command]
    with pytest.raises(RecipeError, match="4,294,967,295"):
        run(*arguments, tmp_path / "out.png", "--model", tiny_folder)


def drawn_all(files: list[Path]) -> np.ndarray:
    return np.stack([drawn(file) for file in files])


def test_faces_that_cannot_be_used_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    plain, foreign = tmp_path / "plain.png", tmp_path / "foreign.png"
    plain.write_bytes(png_bytes(np.zeros((8, 8, 3), np.uint8)))
    foreign.write_bytes(png_bytes(np.zeros((8, 8, 3), np.uint8), Recipe("other", "ffff", 1).to_json()))
    for face, message in (
        ("nothing", "A face is a seed.*or a PNG"),
        (str(plain), "no recipe.*project MODEL"),
        (str(foreign), "was drawn by other"),
    ):
        with pytest.raises(GanimeError, match=message):
            run("vary", face, "--out", tmp_path / "v", "--model", tiny_folder)
    with pytest.raises(ConfigError, match=r"should end in \.png"):
        run("mix", "1", "2", "3", "--out", tmp_path / "mix.jpg", "--model", tiny_folder)
    with pytest.raises(ConfigError, match="is a file"):
        run("vary", "1", "--out", plain, "--model", tiny_folder)


def test_choose_writes_faces_and_reports_how_many_have_the_attributes(tiny_folder: Path, tmp_path: Path) -> None:
    told = run("choose", "blue_hair", "--out", tmp_path / "c", "--count", "2", "--model", tiny_folder)
    assert "of 2 have blue_hair" in told
    files = sorted((tmp_path / "c").iterdir())
    assert [file.name for file in files] == ["chosen-001.png", "chosen-002.png"]
    model = load_checkpoint(tiny_folder)
    np.testing.assert_array_equal(generate_recipes(model, [recipe_in(file) for file in files]), drawn_all(files))


def test_project_finds_a_face_and_reports_its_distance(
    tiny_folder: Path, tmp_path: Path, draw_face: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "FIRST_STEPS", 5)
    monkeypatch.setattr(projection, "LAST_STEPS", 5)
    draw_face(1, 100).save(tmp_path / "picture.jpg")
    told = run("project", tiny_folder, tmp_path / "picture.jpg", "--out", tmp_path / "face.png")
    assert "on anime features" in told
    model = load_checkpoint(tiny_folder)
    np.testing.assert_array_equal(
        generate_recipes(model, [recipe_in(tmp_path / "face.png")])[0], drawn(tmp_path / "face.png")
    )
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.png: not a picture"):
        run("project", tiny_folder, tmp_path / "text.png", "--out", tmp_path / "face.png")


def test_directions_are_fitted_printed_and_stored_with_those_of_the_user(
    tiny: Checkpoint, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direction_fit, "VALIDATION_FACES", 16)
    monkeypatch.setattr(direction_fit, "RIVAL_WEIGHTS", (1.0,))
    monkeypatch.setattr(direction_fit, "UNNAMED_COUNT", 2)
    monkeypatch.setattr(direction_fit, "ACTIVATIONS", 64)
    monkeypatch.setattr(ranges, "KNOWN_FACES", 32)
    monkeypatch.setattr(ranges, "DRAWN_FACES", 4)
    own = Directions("tiny", tiny.revision).with_own("mine", np.ones(8, np.float32))
    save_directions(own, tmp_path / "d")
    told = run("directions", tiny_folder, "--out", tmp_path / "d", "--faces", "100", "--judged", "16")
    assert "side effect" in told
    found = load_directions(tmp_path / "d", tiny.revision, 8)
    assert found is not None
    assert len(found.items) > 1
    np.testing.assert_array_equal(found["mine"].vector, np.ones(8))
    for item in found.items:
        assert item.kind == "own" or item.name in told
    assert not (tiny_folder / "directions.json").exists()
