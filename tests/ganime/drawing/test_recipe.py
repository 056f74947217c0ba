"""Recipes and latents: a seed names one latent for good, and walks run from face to face without a jump."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganime.drawing.recipe import (
    MAX_FRAMES,
    MAX_SEED,
    MAX_TRUNCATION,
    Recipe,
    check_seed,
    check_truncation,
    decoded,
    eased,
    encoded,
    latent,
    latents,
    lerp,
    parse_seed,
    rounded,
    slerp,
    walk,
)
from ganime.errors import RecipeError

seeds = st.integers(0, MAX_SEED)
shares = st.floats(0, 1)
numbers = st.floats(-100, 100, width=32)
vectors = hnp.arrays(np.float32, 6, elements=numbers)
NO_SEED = [-1, 2**32, 2**64, 1.5, math.nan, math.inf, -math.inf, True, False, "1", "", None, [1], {}, b"1", 1j, (3,)]
NO_NUMBER = [math.nan, math.inf, -math.inf, -0.01, True, False, "1", None, [1.0], {}, 1j]


def norm(z: np.ndarray) -> float:
    return float(np.linalg.norm(z.astype(np.float64)))


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """The angle between two vectors in radians, precise near 0 and pi as well (Kahan)."""
    a, b = a.astype(np.float64) / norm(a), b.astype(np.float64) / norm(b)
    return float(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))


# --- seeds


@pytest.mark.parametrize(
    ("seed", "first"),
    [
        (0, ["0x1.c398f00000000p+0", "0x1.99c2d00000000p-2", "0x1.f51d260000000p-1"]),
        (1, ["0x1.9fd51a0000000p+0", "-0x1.3938220000000p-1", "-0x1.0e6c880000000p-1"]),
        (4294967295, ["0x1.4bfc380000000p-1", "0x1.56b1920000000p-1", "-0x1.149e840000000p+0"]),
    ],
)
def test_seeds_name_the_same_latent_for_good(seed: int, first: list[str]) -> None:
    assert [float(value).hex() for value in latent(seed, 128)[:3]] == first


def test_seeds_give_the_same_bits_in_another_process(run_python: Callable) -> None:
    code = (
        "import hashlib; from ganime.drawing.recipe import latents;"
        "print(hashlib.sha256(latents([0, 1, 7, 4294967295], 128, 0.7).tobytes()).hexdigest())"
    )
    answer = run_python("-c", code)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == hashlib.sha256(latents([0, 1, 7, MAX_SEED], 128, 0.7).tobytes()).hexdigest()


@given(chosen=st.lists(seeds, max_size=20), dim=st.integers(1, 64))
def test_seed_gives_same_latent_beside_any_others(chosen: list[int], dim: int) -> None:
    together = latents(chosen, dim)
    assert together.shape == (len(chosen), dim)
    assert together.dtype == np.float32
    for position, seed in enumerate(chosen):
        assert np.array_equal(together[position], latent(seed, dim))


@given(chosen=st.lists(seeds, max_size=8), dim=st.integers(1, 9))
def test_a_latent_is_what_a_new_source_gives_whatever_was_drawn_before(chosen: list[int], dim: int) -> None:
    for seed in chosen:
        expected = np.random.RandomState(seed).standard_normal(dim).astype(np.float32)
        assert np.array_equal(latent(seed, dim), expected)


def test_threads_that_draw_at_the_same_time_get_the_latents_of_their_seeds() -> None:
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda seed: latent(seed, 127), range(400)))
    assert np.array_equal(np.stack(drawn), latents(range(400), 127))


def test_ranges_arrays_and_lists_of_seeds_are_the_same() -> None:
    assert np.array_equal(latents(range(5, 9), 8), latents(np.arange(5, 9), 8))
    assert np.array_equal(latents(range(5, 9), 8), latents([5.0, 6.0, 7.0, 8.0], 8))


@given(seed=seeds, truncation=st.floats(0, MAX_TRUNCATION))
def test_truncation_scales_the_latent(seed: int, truncation: float) -> None:
    assert np.array_equal(latents([seed], 16, truncation)[0], latent(seed, 16) * np.float32(truncation))


def test_latents_are_standard_normal() -> None:
    z = latents(range(2000), 128).astype(np.float64)
    count = z.size
    assert abs(z.mean()) < 5 / math.sqrt(count)
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / count)
    assert abs((z**3).mean()) < 5 * math.sqrt(15 / count)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / count)
    assert abs((np.abs(z) < 1).mean() - 0.6827) < 0.005


def test_latents_of_neighbouring_seeds_have_nothing_in_common() -> None:
    z = latents(range(300), 128)
    correlations = np.corrcoef(z)[np.triu_indices(300, 1)]
    assert abs(correlations).max() < 6 / math.sqrt(128)
    assert abs(correlations.mean()) < 0.005


def test_latents_touch_no_global_source() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].copy(), np.random.get_state()[2], torch.get_rng_state(), random.getstate()
    walk(latents([1, 2, 3], 32), 10)
    Recipe("m", "r", 5, 0.5, 6, 0.3).latent(32)
    after = np.random.get_state()
    assert np.array_equal(after[1], before[0])
    assert after[2] == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert random.getstate() == before[3]


# --- lines and arcs


@given(a=vectors, b=vectors)
def test_slerp_and_lerp_end_exactly_on_their_ends(a: np.ndarray, b: np.ndarray) -> None:
    for between in (slerp, lerp):
        for t, end in ((0, a), (0.0, a), (1, b), (1.0, b)):
            found = between(a, b, t)
            assert found.dtype == np.float32
            assert np.array_equal(found, end)


@given(a=vectors, b=vectors, t=shares)
def test_slerp_keeps_the_length_between_those_of_its_ends(a: np.ndarray, b: np.ndarray, t: float) -> None:
    assume(norm(a) > 1e-3 and norm(b) > 1e-3)
    wanted = norm(a) * (1 - t) + norm(b) * t
    assert norm(slerp(a, b, t)) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@given(a=vectors, b=vectors, t=shares)
def test_slerp_turns_evenly_along_the_great_circle(a: np.ndarray, b: np.ndarray, t: float) -> None:
    assume(norm(a) > 0.1 and norm(b) > 0.1)
    whole = angle(a, b)
    assume(0.01 < whole < math.pi - 0.01)
    z = slerp(a, b, t)
    assert angle(a, z) == pytest.approx(whole * t, abs=1e-4)
    assert angle(z, b) == pytest.approx(whole * (1 - t), abs=1e-4)
    start = a.astype(np.float64) / norm(a)  # in the plane of both ends: nothing is left after projection on it
    across = b - np.dot(b, start) * start
    across /= np.linalg.norm(across)
    left = z - np.dot(z, start) * start - np.dot(z, across) * across
    assert norm(left) <= 1e-4 * max(norm(a), norm(b))


@given(a=vectors, b=vectors, t=shares)
def test_slerp_is_finite_everywhere(a: np.ndarray, b: np.ndarray, t: float) -> None:
    z = slerp(a, b, t)
    assert np.isfinite(z).all()
    assert norm(z) <= max(norm(a), norm(b)) * (1 + 1e-5) + 1e-6


@given(a=vectors, factor=st.floats(-10, 10), t=shares)
def test_slerp_between_parallel_and_opposite_latents_keeps_its_length(a: np.ndarray, factor: float, t: float) -> None:
    b = (a * factor).astype(np.float32)
    assume(norm(a) > 0.1 and norm(b) > 0.1)
    z = slerp(a, b, t)
    assert norm(z) == pytest.approx(norm(a) * (1 - t) + norm(b) * t, rel=1e-4)
    if factor > 0:
        assert angle(a, z) < 1e-3
    else:
        assert angle(a, z) == pytest.approx(math.pi * t, abs=1e-3)


@given(a=vectors, t=shares)
def test_slerp_from_or_to_zero_is_a_straight_line(a: np.ndarray, t: float) -> None:
    zero = np.zeros_like(a)
    assert np.allclose(slerp(zero, a, t), a * t, atol=1e-5, rtol=1e-5)
    assert np.allclose(slerp(a, zero, t), a * (1 - t), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_slerp_of_a_single_number_is_finite(sign: int) -> None:
    one = np.ones(1, np.float32)
    assert np.isfinite([slerp(one, sign * one, t) for t in np.linspace(0, 1, 11)]).all()


def test_slerp_is_longer_than_lerp_in_the_middle_of_two_gaussian_latents() -> None:
    a, b = latents([1, 2], 128)
    assert norm(lerp(a, b, 0.5)) < 0.8 * norm(a)
    assert norm(slerp(a, b, 0.5)) == pytest.approx((norm(a) + norm(b)) / 2, rel=1e-5)


# --- walks


@given(stops=st.integers(2, 5), frames=st.integers(2, 60), loop=st.booleans())
def test_a_walk_has_as_many_frames_as_asked_for(stops: int, frames: int, loop: bool) -> None:
    path = walk(latents(range(stops), 8), frames, loop)
    assert path.shape == (frames, 8)
    assert path.dtype == np.float32
    assert np.isfinite(path).all()


@given(stops=st.integers(2, 5), between=st.integers(1, 12))
def test_a_walk_comes_by_every_keyframe(stops: int, between: int) -> None:
    keyframes = latents(range(stops), 8)
    path = walk(keyframes, (stops - 1) * between + 1)
    assert np.array_equal(path[0], keyframes[0])
    assert np.array_equal(path[-1], keyframes[-1])
    assert np.allclose(path[::between], keyframes, atol=1e-5)


@given(stops=st.integers(2, 5), between=st.integers(1, 12))
def test_a_loop_closes_without_showing_its_first_frame_twice(stops: int, between: int) -> None:
    keyframes = latents(range(stops), 8)
    path = walk(keyframes, stops * between, loop=True)
    assert np.allclose(path[::between], keyframes, atol=1e-5)
    assert np.allclose(path[-1], slerp(keyframes[-1], keyframes[0], 1 - 1 / between), atol=1e-5)


def test_a_walk_moves_in_even_steps() -> None:
    path = walk(latents([3, 14], 128), 25)
    turns = [angle(a, b) for a, b in itertools.pairwise(path)]
    assert max(turns) == pytest.approx(min(turns), rel=1e-3)


@pytest.mark.parametrize("count", [0, 1])
def test_a_walk_needs_two_keyframes(count: int) -> None:
    with pytest.raises(RecipeError, match="at least 2"):
        walk(latents(range(count), 8), 10)


@pytest.mark.parametrize("frames", [-1, 0, 1, MAX_FRAMES + 1, 10**9, math.nan])
def test_a_walk_has_two_to_six_hundred_frames(frames: Any) -> None:
    with pytest.raises(RecipeError, match=r"2 to 600"):
        walk(latents([1, 2], 8), frames)


@given(t=shares)
def test_smooth_easing_starts_and_ends_at_rest_and_is_the_same_backwards(t: float) -> None:
    assert eased(t, "linear") == t
    assert 0 <= eased(t, "smooth") <= 1
    assert eased(1 - t, "smooth") == pytest.approx(1 - eased(t, "smooth"))
    assert [eased(end, "smooth") for end in (0, 0.5, 1)] == [0, 0.5, 1]
    assert eased(t, "smooth") <= 3 * t * t + 1e-12  # no speed at the beginning, and so, backwards, none at the end


def test_smooth_walk_passes_the_same_faces_and_tarries_there() -> None:
    z = latents([1, 2, 3], 16)
    even, smooth = walk(z, 30, loop=True), walk(z, 30, loop=True, easing="smooth")
    for face in (0, 10, 20):
        np.testing.assert_array_equal(even[face], smooth[face])
        assert angle(smooth[face], smooth[face + 1]) < 0.5 * angle(even[face], even[face + 1])
    assert angle(smooth[4], smooth[5]) > 1.3 * angle(even[4], even[5])


@pytest.mark.parametrize("easing", ["", "SMOOTH", "bumpy", None, 1])
def test_easings_that_there_are_not_are_refused_with_those_there_are(easing: Any) -> None:
    with pytest.raises(RecipeError, match="linear, smooth"):
        walk(latents([1, 2], 8), 4, easing=easing)


# --- recipes

recipes = st.builds(
    Recipe,
    model=st.text('aZ/@ "\\\n\0é漢🙂', max_size=20),
    revision=st.text("0123456789abcdef", max_size=12),
    seed=seeds,
    truncation=st.floats(0, MAX_TRUNCATION),
    toward=st.none() | seeds,
    position=shares,
)


@given(recipe=recipes)
def test_a_recipe_round_trips_through_json(recipe: Recipe) -> None:
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert np.array_equal(again.latent(8), recipe.latent(8))


@given(seed=seeds, truncation=st.floats(0, MAX_TRUNCATION))
def test_a_plain_recipe_is_its_seeds_latent(seed: int, truncation: float) -> None:
    assert np.array_equal(Recipe("m", "r", seed, truncation).latent(16), latents([seed], 16, truncation)[0])


@given(seed=seeds, toward=seeds, position=shares)
def test_a_recipe_on_the_way_is_the_walks_latent(seed: int, toward: int, position: float) -> None:
    found = Recipe("m", "r", seed, 1.0, toward, position).latent(16)
    assert np.array_equal(found, slerp(latent(seed, 16), latent(toward, 16), position))


def test_recipes_take_whole_floats_and_numpy_integers_as_seeds() -> None:
    assert Recipe("m", "r", 7.0, 1) == Recipe("m", "r", np.int64(7), 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_numpy_numbers_are_accepted_and_kept_as_plain_ones(kind: Any) -> None:
    recipe = Recipe("m", "r", kind(3), truncation=kind(1), position=kind(0))
    assert recipe == Recipe("m", "r", 3)
    assert [type(value) for value in (recipe.seed, recipe.truncation, recipe.position)] == [int, float, float]
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("value", [np.bool_(True), np.float32("nan"), np.float64("inf"), np.int64(-1)])
def test_numpy_values_out_of_range_and_booleans_are_refused(value: Any) -> None:
    with pytest.raises(RecipeError):
        Recipe("m", "r", value)
    with pytest.raises(RecipeError):
        Recipe("m", "r", 3, truncation=value)
    assert type(Recipe("m", "r", np.uint32(7)).seed) is int  # type: ignore[arg-type]


def test_recipes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe("m", "r", 1).seed = 2  # type: ignore[misc]


@pytest.mark.parametrize("seed", NO_SEED)
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    refused = [lambda: check_seed(seed), lambda: latent(seed, 8), lambda: latents([1, seed], 8)]
    refused += [lambda: Recipe("m", "r", seed)]
    if seed is not None:
        refused += [lambda: Recipe("m", "r", 1, 1.0, seed)]
    for call in refused:
        with pytest.raises(RecipeError, match="whole number from 0 to 4,294,967,295"):
            call()


@pytest.mark.parametrize("seed", [0, 1, MAX_SEED, 5.0])
def test_every_seed_in_range_is_taken(seed: float) -> None:
    assert check_seed(seed) == seed
    assert type(check_seed(seed)) is int


@pytest.mark.parametrize("number", [*NO_NUMBER, 1.51, 2**70, 10**400], ids=lambda number: repr(number)[:20])
def test_what_is_no_truncation_is_refused(number: Any) -> None:
    for call in (check_truncation, lambda n: latents([1], 8, n), lambda n: Recipe("m", "r", 1, n)):
        with pytest.raises(RecipeError, match="truncation"):
            call(number)


@pytest.mark.parametrize("number", [*NO_NUMBER, 1.01, 10**400], ids=lambda number: repr(number)[:20])
def test_what_is_no_position_is_refused(number: Any) -> None:
    with pytest.raises(RecipeError, match="position"):
        Recipe("m", "r", 1, 1.0, 2, number)


@pytest.mark.parametrize("seed", [10**5000, -(10**5000)], ids=["huge", "hugely negative"])
def test_numbers_too_long_to_print_are_refused_as_seeds(seed: int) -> None:
    with pytest.raises(RecipeError):
        check_seed(seed)


@pytest.mark.parametrize(
    ("text", "seed"), [("0", 0), (" 7 ", 7), ("007", 7), ("4294967295", MAX_SEED), ("0" * 5000, 0)]
)
def test_decimal_digits_are_parsed_as_a_seed(text: str, seed: int) -> None:
    assert parse_seed(text) == seed


@pytest.mark.parametrize(
    "text", ["", "seed", "-1", "+1", "1.0", "1_0", "4294967296", "1" * 5000, "\uff11"], ids=lambda text: text[:12]
)
def test_other_text_and_seeds_of_any_excessive_length_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"0 to 4,294,967,295") as refused:
        parse_seed(text)
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize(("model", "revision"), [(None, "r"), ("m", 3), (b"m", "r"), (["m"], "r")])
def test_names_that_are_no_text_are_refused(model: Any, revision: Any) -> None:
    with pytest.raises(RecipeError, match="text"):
        Recipe(model, revision, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "3",
        "[]",
        '["m", "r", 1]',
        "{}",
        '{"model": "m", "revision": "r"}',
        '{"model": "m", "revision": "r", "seed": 1, "colour": 2}',
        '{"model": "m", "revision": "r", "seed": NaN}',
        '{"model": "m", "revision": "r", "seed": 1e400}',
        '{"model": "m", "revision": "r", "seed": {"seed": 1}}',
        '{"model": "m", "revision": "r", "seed": 1, "truncation": Infinity}',
        '{"model": "m", "revision": "r", "seed": 1',
        '{"model": "m", "revision": "r", "seed": ' + "9" * 5000 + "}",
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"model":' * 100_000,
        '{"model": "m", "revision": "r", "seed": ' + "[" * 500 + "]" * 500 + "}",
    ],
    ids=lambda text: text[:40],
)
def test_json_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_json(text)


@given(
    value=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=5)
)
def test_any_other_json_is_refused_without_another_error(value: Any) -> None:
    for content in (value, {"model": "m", "revision": "r", "seed": value}):
        text = json.dumps(content)
        try:
            recipe = Recipe.from_json(text)
        except RecipeError:
            continue
        assert recipe.seed == value


# --- recipes that hold a latent


@given(z=hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(-16, 16, width=32)))
def test_a_latent_round_trips_through_a_recipe(z: np.ndarray) -> None:
    recipe = Recipe("m", "r", 3, 0.5, vector=encoded(z))
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe)
    np.testing.assert_array_equal(again.untruncated(len(z)), rounded(z))
    np.testing.assert_array_equal(again.latent(len(z)), rounded(z) * np.float32(0.5))
    assert encoded(decoded(encoded(z))) == encoded(z)


@given(seed=seeds)
def test_a_kept_latent_is_short_and_nearly_the_same(seed: int) -> None:
    z = latent(seed, 128)
    assert len(encoded(z)) == 342
    assert set(encoded(z)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    np.testing.assert_allclose(rounded(z), z, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(rounded(rounded(z)), rounded(z))


def test_recipes_without_a_latent_are_written_as_ever() -> None:
    assert Recipe("m", "r", 1).to_json() == (
        '{"model": "m", "revision": "r", "seed": 1, "truncation": 1.0, "position": 0.0}'
    )
    assert Recipe.from_json('{"model": "m", "revision": "r", "seed": 1}') == Recipe("m", "r", 1)


def test_equal_latents_have_equal_recipes() -> None:
    text = encoded(np.zeros(1, np.float32))
    assert text == "AAA"
    assert Recipe("m", "r", 1, vector="AAA=") == Recipe("m", "r", 1, vector="AAA")
    assert Recipe("m", "r", 1, vector="AAB") == Recipe("m", "r", 1, vector="AAA")  # two bits that say nothing


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "A",
        "AA",
        "AAAA",
        "AAAAA",
        "AA A",
        "AA+/",
        "é" * 3,
        "A" * 10_926,
        "AH4",
        "AHw",
        "APw",
        3,
        b"AAA",
        ["AAA"],
    ],
)
def test_text_that_is_no_latent_is_refused(vector: Any) -> None:
    with pytest.raises(RecipeError, match="vector"):
        Recipe("m", "r", 1, vector=vector)


@pytest.mark.parametrize(
    "z", [[], [math.nan], [math.inf], [16.1], np.zeros(4097), np.zeros((2, 2)), np.zeros(())], ids=lambda z: str(z)[:20]
)
def test_arrays_that_are_no_latent_are_refused(z: Any) -> None:
    with pytest.raises(RecipeError, match="latent"):
        encoded(np.asarray(z, np.float32))


def test_a_kept_latent_goes_toward_no_seed_and_fits_its_model_alone() -> None:
    vector = encoded(latent(1, 8))
    for toward, position in ((2, 0.0), (None, 0.5)):
        with pytest.raises(RecipeError, match="never both"):
            Recipe("m", "r", 1, 1.0, toward, position, vector)
    with pytest.raises(RecipeError, match=r"holds 8 numbers, and the model takes 128.*'m'"):
        Recipe("m", "r", 1, vector=vector).latent(128)
