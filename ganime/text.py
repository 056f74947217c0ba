"""Text that is safe and readable in a sentence: untrusted names, values of any kind, counts, seconds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def printable(text: str, most: int = 120) -> str:
    """Untrusted text on one line that is safe to show: control characters escaped, the middle of a long text cut.

    Only what Python calls printable is left unchanged, so line breaks, escape sequences, lone surrogates and marks that
    change the direction of writing are all escaped.
    """
    if len(text) > most:
        text = f"{text[: most - 24]}...{text[-20:]}"
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def quoted(value: Any) -> str:
    """The repr of a value, cut to 80 characters to fit in a sentence."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def plural(count: float, thing: str) -> str:
    """A count with its noun: "1 face", "2,000 faces", "1.5 minutes"; six digits, or all of those before the point."""
    number = f"{count:,.0f}" if abs(count) >= 100_000 else f"{Decimal(f'{count:.6g}'):,f}"
    return f"{number} {thing}" if number == "1" else f"{number} {thing}s"


def two_digits(number: float) -> str:
    """A measured number with two significant digits: "8.1", "17", "1,200"."""
    return f"{Decimal(f'{number:.2g}'):,f}"


def in_seconds(seconds: float) -> str:
    """A measured time with its unit, both on one line: "9.6 s"."""
    return f"{two_digits(seconds)}\N{NO-BREAK SPACE}s"
