"""What a weight file is, told by its content, and what it holds; nothing in it is ever run."""

from __future__ import annotations

import codecs
import io
import json
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ganime.errors import CheckpointError
from ganime.files import read_tensors

MAX_IMPORT_BYTES = 2**30
MAX_PICKLE_BYTES = 2**26  # of the names and shapes; the numbers of a file of torch are stored beside them
MAX_JSON_BYTES = 2**24
HEAD_BYTES = 2**16  # of a file, which tell its kind
TORCH, SAFETENSORS, HDF5, KERAS, ONNX = "torch", "safetensors", "hdf5", "keras", "onnx"  # what can be read
HDF5_MAGIC, TABLE_MAGIC = b"\x89HDF\r\n\x1a\n", b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
READ = "Ganime imports weight files of PyTorch, safetensors, Keras (.h5, .keras) and ONNX"
# Kinds that are recognised in order to be named: what they begin with, what they are, and what to do.
FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights themselves", "Fetch them with: git lfs pull"),
    (b"<!doctype html", "a web page, not the weights themselves", "Download the file itself"),
    (b"<html", "a web page, not the weights themselves", "Download the file itself"),
    (b"\x89png", "a picture", READ),
    (b"\xff\xd8\xff", "a picture", READ),
    (b"riff", "a picture or a sound", READ),
    (b"\x1f\x8b", "a gzip archive", "Unpack it, and import the weight file in it"),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it, and import the weight file in it"),
    (b"rar!", "a RAR archive", "Unpack it, and import the weight file in it"),
    (b"gguf", "a GGUF file, of a language model", READ),
    (b"\x93numpy", "a NumPy array", READ),
)
ONNX_MARKS = (b"onnx", b"pytorch", b"Conv", b"Gemm")
TEXT_PICKLES = (b"(", b"ccollections", b"ctorch", b"cnumpy", b"c__")  # beginnings of pickles that are written as text
STYLEGAN = (b"dnnlib", b"torch_utils.persistence", b"training.networks", b"G_ema")
# Plain data that training programs store beside the weights. Stand-ins take its place, so not even its own code runs.
PLAIN_DATA = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray", "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"),
    *(f"numpy.{kind}{bits}" for kind in ("float", "int", "uint") for bits in (8, 16, 32, 64)),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("int", "float", "list", "dict", "str")),
    *("argparse.Namespace", "types.SimpleNamespace", "datetime.datetime", "datetime.timedelta", "datetime.date"),
    *(f"{module}.{kind}Path" for module in ("pathlib", "pathlib._local") for kind in ("Posix", "Windows", "PurePosix")),
)


class Unread:
    """Stands for a value of PLAIN_DATA, which an import has no use for."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def dictionary(*_: Any) -> dict[Any, Any]:
    """Stands for collections.defaultdict, whose factory is of no use here."""
    return {}


SAFE_GLOBALS: list[Any] = [*((Unread, name) for name in PLAIN_DATA), (dictionary, "collections.defaultdict")]


def recognised(file: Path) -> str:
    """The kind of a weight file, one of the five above. Raises CheckpointError that names any other kind."""
    if not file.is_file():
        raise CheckpointError(f"{file} is {'a folder' if file.is_dir() else 'missing'}. {READ}.")
    size = file.stat().st_size
    if not 0 < size <= MAX_IMPORT_BYTES:
        raise CheckpointError(f"{file} has {size:,} bytes; a weight file has 1 to {MAX_IMPORT_BYTES:,}.")
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
        opened.seek(max(0, size - 8))
        tail = opened.read()
    text = head[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for beginning, what, mend in FOREIGN:
        if text.startswith(beginning):
            raise CheckpointError(f"{file} is {what} ({size:,} bytes). {mend}.")
    if tail == TABLE_MAGIC:
        what = "the index of a TensorFlow checkpoint"
        raise CheckpointError(f"{file} is {what}. Load it with TensorFlow, and save it with Keras: model.save('G.h5').")
    if any(head[place : place + 8] == HDF5_MAGIC for place in (0, 512, 1024, 2048)):
        return HDF5
    if head.startswith(b"PK"):
        return kind_of_zip(file)
    if len(head) > 8 and int.from_bytes(head[:8], "little") <= size and head[8:9] == b"{":
        return SAFETENSORS
    if head[:1] == b"\x08" and any(mark in head for mark in ONNX_MARKS):
        return ONNX
    if head[:1] in (b"\x80", b"(") and any(mark in head for mark in STYLEGAN):
        raise CheckpointError(f"{file} is a pickle of StyleGAN, which is no DCGAN and wants its own code. {READ}.")
    if is_text(head) and not (head.startswith(TEXT_PICKLES) and tail.endswith(b".")):
        raise CheckpointError(f"{file} is a text file ({size:,} bytes). {READ}.")
    return TORCH


def is_text(head: bytes) -> bool:
    """Whether a file with this beginning is a text."""
    with suppress(UnicodeDecodeError):
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # its last letter may be cut
        return all(letter.isprintable() or letter.isspace() for letter in text)
    return False


def kind_of_zip(file: Path) -> str:
    """The kind of a file that begins like a zip. Raises CheckpointError that names any other kind."""
    try:
        with zipfile.ZipFile(file) as archive:
            names, size = archive.namelist(), sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"{file} is damaged or incomplete ({error}). Fetch it or save it again.") from error
    if size > MAX_IMPORT_BYTES:
        raise CheckpointError(f"{file} unpacks to {size:,} bytes; Ganime reads up to {MAX_IMPORT_BYTES:,}.")
    if "model.weights.h5" in names:
        return KERAS
    inner = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in inner or any("/code/" in name for name in names):
        raise CheckpointError(
            f"{file} is a TorchScript file, a program of its own, and Ganime runs no code from weight files. Open it "
            "in a trusted place, save model.state_dict() alone, and import that."
        )
    if "data.pkl" in inner:
        return TORCH
    what = "NumPy archive" if any(name.endswith(".npy") for name in names) else "zip without weights"
    raise CheckpointError(f"{file} is a {what}: {', '.join(names[:3]) or 'it is empty'}. {READ}.")


def read_state(file: Path, kind: str) -> Any:
    """What a file of torch or of safetensors holds: named tensors, or any nesting of plain values and tensors.

    kind: of the file, as `recognised` returns it. Raises CheckpointError, naming the file.
    """
    if kind == SAFETENSORS:
        return read_tensors(file)
    try:
        if "builtins.bytearray" in pickled_names(file):  # of any length, and no weights
            raise pickle.UnpicklingError("GLOBAL builtins.bytearray")
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged or hostile file raises nearly every kind
        raise CheckpointError(f"{file} {problem_of_pickle(str(error))}.") from error


def problem_of_pickle(message: str) -> str:
    """What is wrong with a file that torch refused with this message, and how to mend it."""
    wanted = re.search(r"GLOBAL ([\w.]+)", message)
    if wanted or re.search("TorchScript|pickle protocol|operand 149", message):  # 149: a pickle newer than torch's
        what = wanted[1] if wanted else "a program of its own"
        mend = "Open it in a trusted place, save model.state_dict() alone, and import that"
        return f"wants {what} to be run, and Ganime runs no code from weight files. {mend}"
    return f"is damaged or incomplete. Fetch it or save it again. {READ}"


def pickled_names(file: Path) -> set[str]:
    """The names of what the pickles in a file of torch refer to. Raises CheckpointError where they are too large."""
    names = set()
    for stream in pickles_in(file):
        with suppress(Exception):  # it ends early, or is none: torch.load says so
            while True:
                for code, argument, _ in pickletools.genops(stream):
                    if code.name in ("GLOBAL", "INST"):
                        names.add(str(argument).replace(" ", ".").replace("__builtin__", "builtins"))
    return names


def pickles_in(file: Path) -> Iterator[BinaryIO]:
    """The pickles in a file of torch: data.pkl of a zip, or the beginning of an older file.

    Raises CheckpointError where one is too large.
    """
    if not zipfile.is_zipfile(file):
        with file.open("rb") as opened:
            yield io.BytesIO(opened.read(MAX_PICKLE_BYTES))
        return
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".pkl"):
                if entry.file_size > MAX_PICKLE_BYTES:
                    problem = f"{file} has {entry.file_size:,} bytes in {entry.filename}, which holds names alone"
                    raise CheckpointError(f"{problem}; at most {MAX_PICKLE_BYTES:,} are read.")
                yield io.BytesIO(archive.read(entry))


def read_json(text: bytes | str, what: str) -> Any:
    """The JSON in a weight file. Raises CheckpointError if it is too large, too deep or none."""
    if len(text) > MAX_JSON_BYTES:
        raise CheckpointError(f"its {what} has {len(text):,} bytes; at most {MAX_JSON_BYTES:,} are read.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its {what} cannot be read as JSON ({error}).") from error
