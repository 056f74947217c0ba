"""Text that is safe and readable in a sentence: names from strangers, values of any kind, counts."""

from __future__ import annotations

from typing import Any


def printable(text: str, most: int = 120) -> str:
    """A stranger's text on one line that is safe to show: control characters escaped, and the middle of a long one cut.

    Only what Python calls printable is left as it is, so no line break, escape sequence, lone surrogate or mark that
    turns the direction of writing gets through.
    """
    if len(text) > most:
        text = f"{text[: most - 24]}...{text[-20:]}"
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def quoted(value: Any) -> str:
    """A value as it is written, cut to a length that fits in a sentence."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def plural(count: int, thing: str) -> str:
    """A count with its noun: "1 face", "2,000 faces"."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
