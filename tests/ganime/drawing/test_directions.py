"""Directions: steering keeps faces where faces lie, and a file of directions is read whole or refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganime.drawing.directions import (
    DIRECTION_INDEX_FILE,
    DIRECTION_VECTORS_FILE,
    MAX_DIRECTIONS,
    Direction,
    Directions,
    Effect,
    between,
    combined,
    effect_rows,
    held,
    is_effective,
    load_directions,
    save_directions,
    steer,
)
from ganime.drawing.recipe import latents
from ganime.errors import CheckpointError, RecipeError

EFFECT = Effect("smile", 3.0, 0.6, 0.08, 0.7, "blush", 0.3, 0.5)


def vector(place: int, length: float = 1.0) -> np.ndarray:
    return np.eye(8, dtype=np.float32)[place] * np.float32(length)


@pytest.fixture
def some() -> Directions:
    return Directions(
        "tiny",
        "0123456789ab",
        (
            Direction("smile", "attribute", vector(0), EFFECT),
            Direction("sefa-1", "sefa", vector(1, 1.5), limits=(-0.5, 3)),
            Direction("笑う <b>", "own", vector(2)),
        ),
    )


def test_steering_moves_along_the_direction_and_keeps_the_length(some: Directions) -> None:
    z = latents(range(20), 8)
    there = steer(z, some, {"smile": 2.0, "sefa-1": -1.0})
    assert there.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(there, axis=1), np.linalg.norm(z, axis=1), rtol=1e-5)
    wanted = z + 2 * vector(0) - vector(1, 1.5)
    cosines = (there * wanted).sum(1) / np.linalg.norm(there, axis=1) / np.linalg.norm(wanted, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    np.testing.assert_array_equal(steer(z[3], some, {"smile": 2.0, "sefa-1": -1.0}), there[3])  # one as among many


def test_several_sliders_lead_where_their_vectors_lead_together(some: Directions) -> None:
    np.testing.assert_allclose(combined(some, {"smile": 2.0, "sefa-1": -1.0}), 2 * vector(0) - vector(1, 1.5))
    z = latents(range(5), 8)
    mine = some.with_own("mine", combined(some, {"smile": 1.0, "sefa-1": 1.0}))
    np.testing.assert_allclose(steer(z, mine, {"mine": 2.0}), steer(z, some, {"smile": 2.0, "sefa-1": 2.0}), rtol=1e-5)
    with pytest.raises(RecipeError, match="at least one direction"):
        combined(some, {})


def test_no_amount_is_no_change(some: Directions) -> None:
    z = latents([5], 8)[0]
    np.testing.assert_array_equal(steer(z, some, {}), z)
    np.testing.assert_allclose(steer(z, some, {"smile": 0.0}), z, rtol=1e-6)


def test_a_latent_of_no_length_is_steered_too(some: Directions) -> None:
    np.testing.assert_array_equal(steer(np.zeros(8, np.float32), some, {"smile": 2.0}), vector(0, 2.0))


@pytest.mark.parametrize("amount", [3.1, -3.1, float("nan"), "2", True, None])
def test_amounts_beyond_the_slider_are_refused(some: Directions, amount: Any) -> None:
    with pytest.raises(RecipeError, match=r"amount of smile is a number from -3 to 3"):
        steer(latents([1], 8), some, {"smile": amount})


def test_steering_by_what_is_not_there_names_what_is(some: Directions) -> None:
    with pytest.raises(RecipeError, match=r"no direction 'frown'; there are smile, sefa-1"):
        steer(latents([1], 8), some, {"frown": 1.0})
    with pytest.raises(RecipeError, match="latents of 8 numbers; these have 9"):
        steer(latents([1], 9), some, {"smile": 1.0})


@pytest.mark.parametrize("count", [1, 3, 6])
def test_what_is_held_is_exactly_as_in_the_face_and_lengths_do_not_change(count: int) -> None:
    dim = 128
    z, [face] = latents(range(20), dim), latents([99], dim)
    ways = np.random.default_rng(count).standard_normal((count, dim)).astype(np.float32)  # neither unit nor orthogonal
    there = held(z, face, ways)
    assert there.dtype == np.float32
    np.testing.assert_allclose(there @ ways.T, np.tile(face @ ways.T, (20, 1)), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(there, axis=1), np.linalg.norm(z, axis=1), rtol=1e-5)
    free = np.linalg.qr(ways.T, mode="complete")[0][:, count:]  # what is not held points where z points
    cosines = (
        ((there @ free) * (z @ free)).sum(1) / np.linalg.norm(there @ free, axis=1) / np.linalg.norm(z @ free, axis=1)
    )
    np.testing.assert_allclose(cosines, 1, atol=1e-5)


def test_holding_the_same_way_twice_holds_it_once() -> None:
    z, [face] = latents(range(5), 8), latents([99], 8)
    for ways in (np.stack([vector(0), vector(0)]), np.stack([vector(0), vector(0, 2.0), vector(1)])):
        there = held(z, face, ways)
        np.testing.assert_allclose(there[:, 0], face[0], atol=1e-5)
        assert np.isfinite(there).all()
        np.testing.assert_allclose(np.linalg.norm(there, axis=1), np.linalg.norm(z, axis=1), rtol=1e-5)


def test_a_face_that_leaves_no_room_is_held_all_the_same() -> None:
    there = held(latents([1], 8) * np.float32(0.01), vector(0, 5.0), vector(0)[None])
    np.testing.assert_allclose(there, vector(0, 5.0)[None], atol=1e-6)


def test_between_leads_from_one_side_to_the_other() -> None:
    start, end = latents([1, 2], 8), latents([3, 4, 5], 8)
    way = between(start, end, 2.0)
    assert np.linalg.norm(way) == pytest.approx(2.0, rel=1e-6)
    assert way @ (end.mean(0) - start.mean(0)) == pytest.approx(2 * np.linalg.norm(end.mean(0) - start.mean(0)))
    for one, other in ((start, start), (start[:0], end), (start, end[:0])):
        with pytest.raises(RecipeError, match="direction"):
            between(one, other)


def test_a_user_names_directions_of_their_own(some: Directions) -> None:
    more = some.with_own("mine", vector(3)).with_own("mine", vector(4))
    assert more.names == (*some.names, "mine")
    np.testing.assert_array_equal(more["mine"].vector, vector(4))
    assert more["mine"].kind == "own"
    with pytest.raises(CheckpointError, match="fitted"):
        some.with_own("smile", vector(3))


def test_saved_directions_come_back_as_they_were(some: Directions, tmp_path: Path) -> None:
    save_directions(some, tmp_path)
    again = load_directions(tmp_path, some.revision, 8)
    assert again is not None
    assert (again.model, again.revision, again.names) == (some.model, some.revision, some.names)
    for one, other in zip(again.items, some.items, strict=True):
        assert (one.kind, one.effect, one.limits) == (other.kind, other.effect, other.limits)
        np.testing.assert_array_equal(one.vector, other.vector)


def test_none_at_all_are_kept_as_none(tmp_path: Path) -> None:
    save_directions(Directions("tiny", "abc"), tmp_path)
    found = load_directions(tmp_path, "abc", 8)
    assert found is not None
    assert found.items == ()


def test_a_model_without_directions_has_none(tmp_path: Path) -> None:
    assert load_directions(tmp_path, "abc", 8) is None
    assert load_directions(None, "abc", 8) is None


def test_directions_of_other_weights_are_refused(some: Directions, tmp_path: Path) -> None:
    save_directions(some, tmp_path)
    with pytest.raises(CheckpointError, match=r"revision '0123456789ab'; these have ffff.*ganime directions MODEL"):
        load_directions(tmp_path, "ffff", 8)
    with pytest.raises(CheckpointError, match=r"needs vectors of shape \(3, 9\)"):
        load_directions(tmp_path, some.revision, 9)


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


@pytest.mark.parametrize(
    "change",
    [
        lambda index: [],
        lambda index: without(index, "directions"),
        lambda index: index | {"directions": {}},
        lambda index: index | {"directions": index["directions"] * 100},
        lambda index: index | {"directions": index["directions"][:2]},
        lambda index: index | {"directions": [index["directions"][0]] * 3},
        lambda index: index | {"directions": [3, 4, 5]},
        lambda index: index | {"directions": [entry | {"name": "x" * 65} for entry in index["directions"]]},
        lambda index: index | {"directions": [entry | {"name": "a\nb"} for entry in index["directions"]]},
        lambda index: index | {"directions": [without(entry, "name") for entry in index["directions"]]},
        lambda index: index | {"directions": [entry | {"kind": "spell"} for entry in index["directions"]]},
        *(
            lambda index, limits=limits: (
                index | {"directions": [entry | {"limits": limits} for entry in index["directions"]]}
            )
            for limits in (3, [1], [0, 1], [-4, 1], [-1, True], ["-1", "1"], [-1, float("nan")])
        ),
        lambda index: index | {"directions": [entry | {"effect": 3} for entry in index["directions"]]},
        lambda index: index | {"directions": [entry | {"effect": {"own": 1}} for entry in index["directions"]]},
        lambda index: index | {"directions": [index["directions"][0] | {"effect": {**vars(EFFECT), "own": 2}}] * 3},
        lambda index: (
            index | {"directions": [index["directions"][0] | {"effect": {**vars(EFFECT), "own": float("nan")}}] * 3}
        ),
    ],
)
def test_a_damaged_index_is_refused_by_name(some: Directions, tmp_path: Path, change: Any) -> None:
    save_directions(some, tmp_path)
    path = tmp_path / DIRECTION_INDEX_FILE
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"directions\.(json|safetensors)"):
        load_directions(tmp_path, some.revision, 8)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "{}" + " " * 2**20])
def test_an_index_that_is_no_json_or_far_too_long_is_refused(some: Directions, tmp_path: Path, text: str) -> None:
    save_directions(some, tmp_path)
    (tmp_path / DIRECTION_INDEX_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"directions\.json holds no directions"):
        load_directions(tmp_path, some.revision, 8)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"vectors": torch.ones(2, 8)},
        {"vectors": torch.ones(3, 8, dtype=torch.int64)},
        {"vectors": torch.ones(3, 8), "more": torch.ones(1)},
        {"vectors": torch.full((3, 8), float("nan"))},
        {"vectors": torch.full((3, 8), float("inf"))},
        {"vectors": torch.zeros(3, 8)},
        {"vectors": torch.full((3, 8), 1e9)},
    ],
)
def test_damaged_vectors_are_refused_by_name(some: Directions, tmp_path: Path, tensors: dict[str, Any]) -> None:
    save_directions(some, tmp_path)
    save_file(tensors, tmp_path / DIRECTION_VECTORS_FILE)
    with pytest.raises(CheckpointError, match=r"directions\.(json|safetensors)"):
        load_directions(tmp_path, some.revision, 8)


def test_cut_off_missing_and_huge_vectors_are_refused_by_name(some: Directions, tmp_path: Path) -> None:
    save_directions(some, tmp_path)
    path = tmp_path / DIRECTION_VECTORS_FILE
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match=r"directions\.safetensors is not a whole"):
        load_directions(tmp_path, some.revision, 8)
    path.write_bytes(bytes(2**23 + 1))
    with pytest.raises(CheckpointError, match="at most 8,388,608 are read"):
        load_directions(tmp_path, some.revision, 8)
    path.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        load_directions(tmp_path, some.revision, 8)


def test_more_directions_than_a_page_can_show_are_refused() -> None:
    items = tuple(Direction(f"d{number}", "own", vector(0)) for number in range(MAX_DIRECTIONS + 1))
    with pytest.raises(CheckpointError, match="at most 256"):
        Directions("m", "r", items)


def test_a_slider_works_that_turns_faces_and_leaves_the_rest_alone() -> None:
    assert is_effective(EFFECT, 0.4, 3.0, 1.5)
    assert not is_effective(EFFECT, 0.8, 3.0, 1.5)
    assert not is_effective(EFFECT, 0.4, 9.0, 1.5)
    assert not is_effective(EFFECT, 0.4, 3.0, 2.5)
    assert not is_effective(replace(EFFECT, side_change=0.61), 0.4, 3.0, 1.0)


def test_the_table_of_effects_tells_those_that_were_measured(some: Directions) -> None:
    assert effect_rows(some.items) == [
        ("smile", "attribute", "smile", "3", "0.60", "0.080", "70%", "blush 0.30", "0.50")
    ]
