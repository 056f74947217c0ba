"""Text in messages: safe to print, and short enough for a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganime.text import in_seconds, plural, printable, quoted, two_digits


@given(name=st.text(st.characters(), max_size=300))
def test_printable_names_are_one_line_without_tricks(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    shown.encode()  # raises for a lone surrogate
    if name.isprintable() and len(name) <= 120:
        assert shown == name


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    shown = printable("a" * 500 + "the end.png")
    assert len(shown) <= 120
    assert shown.startswith("aaa")
    assert shown.endswith("the end.png")


@pytest.mark.parametrize("value", ["x" * 500, 10**6000, list(range(1000))], ids=["text", "digits", "list"])
def test_a_quoted_value_fits_in_a_sentence(value: Any) -> None:
    assert len(quoted(value)) <= 80


def test_only_one_thing_is_singular() -> None:
    assert [plural(count, "face") for count in (0, 1, 2_000)] == ["0 faces", "1 face", "2,000 faces"]
    assert [plural(count, "minute") for count in (1.0, 1.5, 120.0)] == ["1 minute", "1.5 minutes", "120 minutes"]
    assert [plural(count, "minute") for count in (1.0000001, 0.9999999)] == ["1 minute"] * 2  # as the reader sees it


def test_a_count_is_written_without_an_exponent_however_large_or_small() -> None:
    counts = (1234567.5, 10**7, 99_999.96, 1e-7, 1 / 3, float("inf"))
    written = ["1,234,568", "10,000,000", "100,000", "0.0000001", "0.333333", "inf"]
    assert [plural(count, "minute") for count in counts] == [f"{number} minutes" for number in written]


def test_a_measured_number_has_two_significant_digits_and_stays_on_the_line_of_its_unit() -> None:
    measured = (0.8333, 8.13, 9.96, 17.4, 123.4, 1_250_000.0)
    assert [two_digits(number) for number in measured] == ["0.83", "8.1", "10", "17", "120", "1,200,000"]
    assert in_seconds(9.64) == "9.6\N{NO-BREAK SPACE}s"
