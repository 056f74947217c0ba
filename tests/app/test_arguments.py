"""Arguments of the public endpoints, in the forms in which programs send them."""

from __future__ import annotations

import base64
import urllib.parse
from typing import Any

import pytest

from app.arguments import base64_text, choice, number, whole, yes_or_no
from ganime.errors import ConfigError


@pytest.mark.parametrize(
    ("value", "expected"),
    [(4, 4), ("4", 4), (" 4 ", 4), (4.0, 4), ("4.0", 4), ("-1", -1), (2**40, 2**40), ("9" * 30, int("9" * 30))],
)
def test_a_whole_number_may_be_a_text_or_a_float(value: Any, expected: int) -> None:
    assert whole("count", value) == expected
    assert type(whole("count", value)) is int


@pytest.mark.parametrize(
    "value",
    [2.5, "2.5", "miku", "", None, True, [4], {"a": 4}, float("nan"), float("inf"), "inf", "nan", "1" * 5000, "४x"],
)
def test_what_is_no_whole_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match="count must be a whole number"):
        whole("count", value)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, 0.5), ("0.5", 0.5), ("1e-1", 0.1), ("-3", -3), (10**400, 10**400)]
)
def test_a_number_may_be_a_text(value: Any, expected: float) -> None:
    assert number("speed", value) == expected
    with pytest.raises(ConfigError, match="speed must be a number; got 'fast'"):
        number("speed", "fast")


def test_words_have_any_case_and_truth_may_be_a_word() -> None:
    assert choice("kind", ".GIF ", ("webp", "gif")) == "gif"
    for wrong in ("exe", 7, None, ["gif"], {}):
        with pytest.raises(ConfigError, match="kind must be one of webp, gif"):
            choice("kind", wrong, ("webp", "gif"))
    assert [yes_or_no("loop", value) for value in (True, "true", "Yes", 1, "0", False, "false")] == [True] * 4 + [
        False
    ] * 3
    for wrong in ("maybe", None, 7, []):
        with pytest.raises(ConfigError, match="loop must be true or false"):
            yes_or_no("loop", wrong)


def test_base64_may_be_a_data_url_broken_into_lines_or_made_for_addresses() -> None:
    data = bytes(range(256)) * 3
    plain = base64.b64encode(data).decode()
    for text in (
        plain,
        base64.encodebytes(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        f"data:image/png;base64,{plain}",
        f"DATA:image/svg+xml;charset=utf-8;base64,{plain}",
        f"data:;base64,{urllib.parse.quote(plain, safe='')}",
        f"  data:image/webp;base64,\n{plain}\n",
    ):
        assert base64.b64decode(base64_text(text), validate=True) == data
