"""Forms of uploads: what is stored, under which names, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import CapacityLimiter

from app.server.multipart import MAX_FILES, FormError, FormFiles, safe_name

pytestmark = pytest.mark.anyio
FORM = "multipart/form-data; boundary=x"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def part(name: str, data: bytes) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
    return head.encode() + data + b"\r\n"


async def read(body: bytes, folder: Path, size: int = 64_000, arrived: Counter[str] | None = None) -> list[Path]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    counts = arrived if arrived is not None else Counter()
    return await FormFiles(FORM, folder, lambda name, count: counts.update({name: count})).read(
        pieces(), CapacityLimiter(1)
    )


@pytest.mark.parametrize("size", [1, 7, 64_000])
async def test_files_are_stored_as_they_were_sent_however_the_form_is_cut(size: int, tmp_path: Path) -> None:
    tricky = b"\r\n--\r\n--y\r" * 20
    body, arrived = part("a.png", tricky) + part("b/a.png", b"") + part("ä.png", b"\r\n") + b"--x--\r\n", Counter[str]()
    paths = await read(body, tmp_path, size, arrived)
    assert [path.name for path in paths] == ["a.png", "a.png", "ä.png"]
    assert [path.read_bytes() for path in paths] == [tricky, b"", b"\r\n"]
    assert arrived == {"a.png": len(tricky), "ä.png": 2}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (part("a.png", b"some"), "no end"),
        (b"", "no end"),
        (b"some", "damaged"),
        (part("x" * 5_000, b"some") + b"--x--\r\n", "too long"),
        (b"--x\r\n" + b"A: b\r\n" * 2_000 + b"\r\n", "too long"),
        (b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nsome\r\n--x--\r\n', "must be a file"),
        (b"--x\r\n\r\nsome\r\n--x--\r\n", "must be a file"),
        (part("a", b"") * (MAX_FILES + 1) + b"--x--\r\n", f"{MAX_FILES:,} files"),
    ],
)
async def test_other_forms_are_refused_in_words(body: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(FormError, match=words):
        await read(body, tmp_path)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data", f"multipart/form-data; boundary={'x' * 300}"]
)
async def test_what_is_no_form_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(FormError):
        FormFiles(kind, tmp_path, lambda name, count: None)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\faces\\a.png", "a.png"),
        ("a:b*?.png", "a_b__.png"),
        ("\0\n", "__"),
        ("..", "file"),
        ("", "file"),
        ("a. ", "a"),
        (".DS_Store", ".DS_Store"),
        ("x" * 300 + ".tar", "x" * 196 + ".tar"),
        ("ä" * 300 + ".png", "ä" * 98 + ".png"),
    ],
)
def test_names_on_the_disk_are_safe(name: str, stored: str) -> None:
    assert safe_name(name) == stored
