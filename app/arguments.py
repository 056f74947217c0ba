"""Arguments as programs send them: numbers as text, texts as numbers, pictures as data: URLs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from ganime.errors import ConfigError
from ganime.text import quoted

DATA_URL = re.compile(r"\s*data:[^,]{0,200},", re.IGNORECASE)
MAX_DIGITS = 40  # of a number in a text
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def number(name: str, value: Any) -> float:
    """Return a number that may be a text, such as "0.5". Raises ConfigError for anything else."""
    found = value
    if isinstance(value, str) and len(value) <= MAX_DIGITS:
        with suppress(ValueError):
            found = int(value) if value.strip().removeprefix("-").isdecimal() else float(value)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if not is_number or (isinstance(found, float) and not math.isfinite(found)):
        raise ConfigError(f"{name} must be a number; got {quoted(value)}.")
    return found


def whole(name: str, value: Any) -> int:
    """Return a whole number that may be a text or a float without a fraction. Raises ConfigError for anything else."""
    try:
        found = number(name, value)
    except ConfigError as error:
        raise ConfigError(f"{name} must be a whole number; got {quoted(value)}.") from error
    if isinstance(found, float) and not found.is_integer():
        raise ConfigError(f"{name} must be a whole number; got {quoted(value)}.")
    return int(found)


def yes_or_no(name: str, value: Any) -> bool:
    """Return a truth value that may be a text, such as "false". Raises ConfigError for anything else."""
    text = str(value).strip().lower()
    if isinstance(value, bool | int | str) and text in YES + NO:
        return text in YES
    raise ConfigError(f"{name} must be true or false; got {quoted(value)}.")


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return one of `choices`, whatever the case of its letters. Raises ConfigError for anything else."""
    text = value.strip().lower().removeprefix(".") if isinstance(value, str) else value
    if text not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {quoted(value)}.")
    return text


def base64_text(value: str) -> str:
    """Return the base64 of a picture that may be a data: URL, be broken into lines, or have the letters of URLs."""
    if match := DATA_URL.match(value):
        value = unquote(value[match.end() :])
    text = "".join(value.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    return text + "=" * (-len(text) % 4)
