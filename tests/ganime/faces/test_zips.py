"""Zips that lie about what they hold."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from ganime.errors import DataError
from ganime.faces.search import Search
from ganime.faces.sources import list_pictures
from tests.ganime.faces.pictures import make_zip

METHODS = [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED]


@pytest.mark.parametrize("method", METHODS)
def test_an_entry_that_unpacks_to_more_than_it_declares_takes_no_memory(tmp_path: Path, method: int) -> None:
    data = bytearray(make_zip(tmp_path / "faces.zip", [("0.png", bytes(2**25))], method).read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\1\2") + 24, 5_000)
    (tmp_path / "faces.zip").write_bytes(data)
    with ExitStack() as opened:
        [picture] = list_pictures(tmp_path / "faces.zip", Search(opened))
        tracemalloc.start()
        try:
            for read in (picture.read, lambda: picture.open().read()):
                with suppress(DataError, zipfile.BadZipFile):  # its checksum is that of all of it
                    read()
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("method", METHODS)
def test_an_entry_is_unpacked_once_however_often_a_decoder_goes_back(tmp_path: Path, method: int) -> None:
    data = random.Random(0).randbytes(1_000) * 100
    make_zip(tmp_path / "faces.zip", [("0.png", data)], method)
    with ExitStack() as opened:
        [picture] = list_pictures(tmp_path / "faces.zip", Search(opened))
        with picture.open() as file:
            source = file.raw.stream = Mock(wraps=file.raw.stream)  # type: ignore[attr-defined]
            for place in (90_000, 10, 50_000, 0, 89_000):
                file.seek(place)
                assert file.read(20) == data[place : place + 20]
            assert source.read.call_count == 1
            assert file.seek(-5, io.SEEK_END) == len(data) - 5
            assert file.read() == data[-5:]
