"""Recipes and pictures from the network."""

from __future__ import annotations

import base64

import pytest

from app.faces.incoming import MAX_PROJECTED_BYTES, picture_bytes
from ganime.errors import DataError


def test_a_picture_is_taken_as_base64_only() -> None:
    assert picture_bytes(base64.b64encode(b"a picture").decode()) == b"a picture"
    for text in ("ä", "AA\nAA", "A"):
        with pytest.raises(DataError, match="base64"):
            picture_bytes(text)


def test_a_picture_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(DataError, match="4,194,304"):
        picture_bytes(base64.b64encode(bytes(MAX_PROJECTED_BYTES + 1)).decode())
