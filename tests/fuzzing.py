"""What fuzz tests share: hostile values, damaged files, and how many of them are tried.

GANIME_FUZZ=100 tries a hundred times as many, different ones in every run; `make fuzz` does so.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("GANIME_FUZZ", "1"))
TEXTS = ["", "\0", "\x1b[31m", "\u202e", "../../etc/passwd", "<b>", "x" * 5_000, "[" * 200, "{}", "null", "9" * 400]
FILES: list[object] = [
    {"path": path, "url": url, "size": size, "orig_name": "x.png", "meta": meta}
    for path, url, size, meta in (
        ("/etc/passwd", None, 1, {"_type": "gradio.FileData"}),
        ("https://example.com/x.png", "https://example.com/x.png", None, {"_type": "gradio.FileData"}),
        ("a\0b", None, "abc", {"_type": "gradio.FileData"}),
        ("x" * 5_000, None, -1, {"_type": "gradio.FileData"}),
        ("/tmp", None, 0, 5),
    )
]
NO_NAMES = ["", "\ud800", "a\udfff"]  # nothing, and halves of characters, which JSON can name
NO_INTEGERS = [float("inf"), float("nan"), 1.5, True, "1"]  # of which JSON in Python has the first two
TEXT = st.sampled_from(TEXTS) | st.text(max_size=30)
NUMBERS = [0, -1, 1, 65, 2**31, 2**32, 2**63, 2**100, -(2**100), 1e308, -1e308, 5e-324, 0.5]


def examples(count: int) -> settings:
    """Settings of a test that tries so many examples in daily work."""
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(max_examples=count * TIMES, derandomize=TIMES == 1, deadline=None, suppress_health_check=checks)


def values() -> st.SearchStrategy[object]:
    """JSON values that nobody expects."""
    # Surrogates alone are no text that could be sent.
    text = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    numbers = st.sampled_from(NUMBERS) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    atoms = st.none() | st.booleans() | text | numbers | st.sampled_from(FILES)
    return st.recursive(
        atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=12
    )


def names() -> st.SearchStrategy[object]:
    """JSON values in the place of a name, also such as no text could be."""
    return st.sampled_from(NO_NAMES) | TEXT | values()


@st.composite
def damaged(draw: st.DrawFn, data: bytes, most: int = 6) -> bytes:
    """A file with some bytes changed, and perhaps cut or continued."""
    found = bytearray(data)
    # Heads are short, and what they say matters most.
    places = st.integers(0, min(400, len(found) - 1)) | st.integers(0, len(found) - 1)
    for place, value in draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=most)):
        found[place] = value
    end = draw(st.sampled_from([len(found)] * 3 + [0, 1, 8, len(found) // 2]))
    return bytes(found[:end]) + draw(st.sampled_from([b"", b"", b"\0" * 100, bytes(found[:200])]))
