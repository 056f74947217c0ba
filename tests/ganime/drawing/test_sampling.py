"""Sampling: one seed is one face, in any batch, at any place, in any process."""

from __future__ import annotations

import copy
import dataclasses
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganime.drawing.recipe import MAX_SEED, Recipe
from ganime.drawing.sampling import generate, generate_recipes, interpolate, recipes_for, render
from ganime.errors import RecipeError
from ganime.images import read_recipe
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from tests.ganime.cli.common import run

SEEDS = [*range(62), 4242, MAX_SEED]


@pytest.fixture(scope="module")
def reference(tiny: Checkpoint) -> np.ndarray:
    return generate(tiny, SEEDS)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def furthest(a: np.ndarray, b: np.ndarray) -> int:
    """The largest difference of two batches of pictures in any channel, of 255."""
    assert a.shape == b.shape
    return int(abs(a.astype(int) - b).max())


def test_faces_are_rgb_bytes_that_differ_from_seed_to_seed(reference: np.ndarray) -> None:
    assert reference.shape == (64, 32, 32, 3)
    assert reference.dtype == np.uint8
    assert len({face.tobytes() for face in reference}) == 64
    assert reference.std() > 20  # the model of these tests draws more than grey


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 7, 8, 13, 16, 31, 32, 33, 63, 64, 100])
def test_seed_gives_same_face_for_any_batch_size(tiny: Checkpoint, reference: np.ndarray, batch_size: int) -> None:
    assert furthest(generate(tiny, SEEDS, batch_size=batch_size), reference) <= 1


@settings(max_examples=40)
@given(order=st.permutations(range(64)), count=st.integers(1, 64))
def test_seed_gives_same_face_at_any_place_beside_any_others(
    tiny: Checkpoint, reference: np.ndarray, order: list[int], count: int
) -> None:
    chosen = order[:count]
    assert furthest(generate(tiny, [SEEDS[i] for i in chosen]), reference[chosen]) <= 1


def test_seed_gives_same_face_twice_in_one_batch(tiny: Checkpoint, reference: np.ndarray) -> None:
    assert furthest(generate(tiny, [7] * 70), reference[[7] * 70]) <= 1


def test_seed_gives_same_face_in_either_memory_layout(tiny: Checkpoint, reference: np.ndarray) -> None:
    generator = copy.deepcopy(tiny.generator).to(memory_format=torch.channels_last)
    assert furthest(generate(dataclasses.replace(tiny, generator=generator), SEEDS), reference) <= 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_seed_gives_same_face_on_any_number_of_threads(
    tiny: Checkpoint, reference: np.ndarray, threads: Callable[[int], None], count: int
) -> None:
    threads(count)
    assert furthest(generate(tiny, SEEDS), reference) <= 1


def test_seed_gives_same_face_after_the_model_was_saved_and_read(tiny_folder: Path) -> None:
    once, again = load_checkpoint(tiny_folder), load_checkpoint(tiny_folder)
    assert once.revision == again.revision
    assert np.array_equal(generate(once, SEEDS), generate(again, SEEDS))


def test_truncation_zero_gives_one_face_for_all_seeds(tiny: Checkpoint) -> None:
    faces = generate(tiny, SEEDS, truncation=0)
    assert furthest(faces, faces[:1].repeat(64, 0)) == 0


def test_truncation_brings_faces_nearer_to_the_average(tiny: Checkpoint) -> None:
    average = generate(tiny, [0], truncation=0).astype(float)
    distances = [abs(generate(tiny, SEEDS, truncation) - average).mean() for truncation in (0.1, 0.4, 0.7, 1.0)]
    assert distances == sorted(distances)
    assert distances[0] < distances[-1] / 2


def test_no_seeds_give_no_faces(tiny: Checkpoint) -> None:
    assert generate(tiny, []).shape == (0, 32, 32, 3)
    assert generate_recipes(tiny, []).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_holds_at_least_one_face(tiny: Checkpoint, batch_size: int) -> None:
    with pytest.raises(ValueError):
        generate(tiny, [1, 2], batch_size=batch_size)


@pytest.mark.parametrize("truncation", [-0.1, 1.51, float("nan")])
def test_faces_and_walks_refuse_a_truncation_out_of_range(tiny: Checkpoint, truncation: float) -> None:
    with pytest.raises(RecipeError, match="truncation"):
        generate(tiny, [1], truncation)
    with pytest.raises(RecipeError, match="truncation"):
        interpolate(tiny, [1, 2], 3, truncation)


def test_sampling_touches_no_global_source_and_no_weight(tiny: Checkpoint) -> None:
    state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    weights = {name: tensor.clone() for name, tensor in tiny.generator.state_dict().items()}
    generate(tiny, [1, 2])
    interpolate(tiny, [1, 2], 3)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.array_equal(np.random.get_state()[1], state[1])
    assert random.getstate() == state[2]
    assert all(torch.equal(weights[name], tensor) for name, tensor in tiny.generator.state_dict().items())


def test_recipes_give_the_faces_of_their_seeds(tiny: Checkpoint) -> None:
    recipes = recipes_for(tiny, [3, 1, 4], 0.7)
    assert [(recipe.model, recipe.revision, recipe.seed) for recipe in recipes] == [
        ("tiny", tiny.revision, seed) for seed in (3, 1, 4)
    ]
    assert furthest(generate_recipes(tiny, recipes), generate(tiny, [3, 1, 4], 0.7)) <= 1


def test_a_walk_starts_and_ends_on_the_faces_of_its_seeds(tiny: Checkpoint) -> None:
    frames = interpolate(tiny, [3, 14, 15], 9, 0.8)
    assert frames.shape == (9, 32, 32, 3)
    assert furthest(frames[[0, 4, 8]], generate(tiny, [3, 14, 15], 0.8)) <= 1


def test_a_loop_comes_back_without_repeating_its_first_face(tiny: Checkpoint) -> None:
    frames = interpolate(tiny, [3, 14], 8, loop=True, easing="smooth")
    assert furthest(frames[[0, 4]], generate(tiny, [3, 14])) <= 1
    assert furthest(frames[1:4], frames[:4:-1]) <= 1


def test_a_recipe_on_the_way_gives_the_walks_frame(tiny: Checkpoint) -> None:
    frames = interpolate(tiny, [3, 14], 5, 0.8)
    recipes = [Recipe("tiny", tiny.revision, 3, 0.8, 14, position / 4) for position in range(5)]
    assert furthest(generate_recipes(tiny, recipes), frames) <= 1


def test_rendering_covers_the_whole_range_of_bytes(tiny: Checkpoint) -> None:
    class Flat:
        config, device = tiny.generator.config, torch.device("cpu")

        def __call__(self, z: torch.Tensor) -> torch.Tensor:
            return z[:, :1, None, None].expand(-1, 3, 32, 32)

    levels = np.array([[-1], [0], [1], [1.5]], np.float32).repeat(8, 1)
    flat: Any = Flat()
    assert render(flat, levels)[:, 0, 0, 0].tolist() in ([0, 127, 255, 255], [0, 128, 255, 255])


def test_sample_command_writes_faces_that_their_recipes_draw_again(tiny_folder: Path, tmp_path: Path) -> None:
    out, seeds = tmp_path / "faces", range(5, 11)
    run("sample", "--model", tiny_folder, "--out", out, "--seed", "5", "--count", "6", "--truncation", "0.7")
    assert {path.name for path in out.iterdir()} == {f"face-{seed}.png" for seed in seeds}
    checkpoint = load_checkpoint(tiny_folder)
    data = [(out / f"face-{seed}.png").read_bytes() for seed in seeds]
    recipes = [Recipe.from_json(read_recipe(png)) for png in data]
    assert recipes == recipes_for(checkpoint, seeds, 0.7)
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in data])
    assert furthest(pictures, generate_recipes(checkpoint, recipes)) <= 1


def test_sample_command_writes_one_array_with_the_same_faces(tiny_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "faces.npy"
    run("sample", "--model", tiny_folder, "--npy", path, "--count", "64")
    faces = np.load(path)
    assert faces.dtype == np.uint8
    assert furthest(faces, generate(load_checkpoint(tiny_folder), range(64))) <= 1
