"""Pictures in the columns of Parquet and Arrow files, as the data sets of the Hugging Face hub have them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

from ganime.errors import DataError, reason_of
from ganime.faces.kinds import HEAD_BYTES, PICTURE, kind_by_content
from ganime.faces.search import MAX_PICTURE_BYTES, Picture, Search

COLUMN_NAMES = ("image", "img", "picture", "face", "jpg", "png", "webp")  # are preferred, in this order
MAX_GROUP_BYTES = 2 * 2**30  # of the pictures in a row group, which is read as a whole
KEPT_GROUPS = 2  # row groups in memory: threads may read on both sides of a border
PICTURE_FIELD = "bytes"  # of the structure in which the hub's library stores a picture


def table_pictures(path: Path | None, within: str, search: Search) -> Iterator[Picture]:
    """The pictures of a Parquet or Arrow file, in the order of its rows.

    path: the file; None when it lies in an archive. within: begins the names of the pictures.

    Raises DataError when it cannot be read, contains no pictures, or pyarrow is missing.
    """
    if path is None:
        raise DataError("is a table in an archive, which is not read; unpack the archive.")
    try:
        import pyarrow
    except ImportError as error:
        text = f"{path} is a Parquet or Arrow file: install pyarrow to read it (pip install 'ganime[parquet]')."
        raise DataError(text) from error
    try:
        groups = parquet_groups(path) if is_parquet(path) else arrow_groups(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged: {reason_of(error)}.") from error
    rows = sum(length for length, _ in groups)
    search.count_entries(rows, str(path))
    number = 0
    for length, load in groups:
        for row in range(length):
            read = partial(read_row, load, row)
            name = f"{within}/row {number:,}" if within else f"row {number:,}"
            yield Picture(name, MAX_PICTURE_BYTES, path, read, lambda read=read: io.BytesIO(read()))
            number += 1


def is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def parquet_groups(path: Path) -> list[tuple[int, Callable[[], Any]]]:
    """The number of rows of each row group of a Parquet file, and a function that returns its column of pictures."""
    from pyarrow import parquet

    file = parquet.ParquetFile(path, memory_map=True)
    column = picture_column(path, file.schema_arrow, lambda name: next(first_values(file, name), None))
    lock = Lock()

    @lru_cache(maxsize=KEPT_GROUPS)
    def load(group: int) -> Any:
        meta = file.metadata.row_group(group)
        chunks = [meta.column(place) for place in range(meta.num_columns)]
        size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == column)
        if size > MAX_GROUP_BYTES:
            raise DataError(f"its row group has {size:,} bytes; at most {MAX_GROUP_BYTES:,} are read")
        return file.read_row_group(group, columns=[column]).column(0)

    def load_alone(group: int) -> Any:
        with lock:
            return load(group)

    lengths = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    return [(length, partial(load_alone, group)) for group, length in enumerate(lengths)]


def first_values(file: Any, column: str) -> Iterator[Any]:
    """The values of a column in the first rows of a Parquet file that are not null."""
    for batch in file.iter_batches(batch_size=4, columns=[column]):
        yield from (value for value in batch.column(0).to_pylist() if value is not None)


def arrow_groups(path: Path) -> list[tuple[int, Callable[[], Any]]]:
    """The same for an Arrow file or stream, which stays on disk and is mapped into memory."""
    import pyarrow

    source = pyarrow.memory_map(str(path))
    try:
        table = pyarrow.ipc.open_file(source).read_all()
    except pyarrow.ArrowInvalid:
        source.seek(0)
        table = pyarrow.ipc.open_stream(source).read_all()

    def first(name: str) -> Any:
        return next((value for value in table.column(name).slice(0, 4).to_pylist() if value is not None), None)

    column = table.column(picture_column(path, table.schema, first))
    return [(len(chunk), lambda chunk=chunk: chunk) for chunk in column.chunks]


def picture_column(path: Path, schema: Any, first: Callable[[str], Any]) -> str:
    """The name of the column that has pictures. first: returns a value of a column. Raises DataError without one."""
    import pyarrow

    names = [
        field.name
        for field in schema
        if pyarrow.types.is_struct(field.type)
        or pyarrow.types.is_binary(field.type)
        or pyarrow.types.is_large_binary(field.type)
    ]
    for name in sorted(names, key=lambda name: COLUMN_NAMES.index(name) if name in COLUMN_NAMES else len(COLUMN_NAMES)):
        if kind_by_content((picture_of(first(name)) or b"")[:HEAD_BYTES]) == PICTURE:
            return name
    raise DataError(f"{path} has no column of pictures; its columns are {', '.join(schema.names)[:200]}.")


def picture_of(value: Any) -> bytes | None:
    """The bytes of a picture in a cell: bytes, or a structure that has them."""
    if isinstance(value, dict):
        value = value.get(PICTURE_FIELD)
    return value if isinstance(value, bytes) else None


def read_row(load: Callable[[], Any], row: int) -> bytes:
    """The bytes of the picture in a row of a group. Raises DataError when it has none."""
    data = picture_of(load()[row].as_py())
    if data is None:
        raise DataError("an empty cell of the table")
    if len(data) > MAX_PICTURE_BYTES:
        raise DataError(f"{len(data):,} bytes; at most {MAX_PICTURE_BYTES:,} are read")
    return data
