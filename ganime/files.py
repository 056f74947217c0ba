"""Files that are written whole or not at all, and safetensors that fit exactly or raise an error."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ganime.errors import CheckpointError

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"  # of every network's folder
MAX_HEADER_BYTES = 2**20  # of a safetensors file: thousands of tensors
SAVED_TOGETHER = "Use the weights and the config.json that were saved together."


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        flush(temporary)
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, completely or not at all."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json_object(path: Path, most_bytes: int) -> dict[str, Any]:
    """Read a JSON object. Raises OSError, or ValueError for a file that is too large or holds anything else."""
    size = path.stat().st_size
    if size > most_bytes:
        raise ValueError(f"{size:,} bytes; at most {most_bytes:,} are read")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError(f"a JSON object is needed, not {type(values).__name__}")
    return values


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which becomes `path` when the block succeeds.

    A folder already at `path` is replaced. For an instant between two renames there is none, but never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    retired = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        for file in temporary.rglob("*"):
            flush(file)
        temporary.chmod(0o755)
        if os.path.lexists(path):
            path.replace(retired)
        temporary.replace(path)
    finally:
        if os.path.lexists(retired) and not os.path.lexists(path):
            retired.replace(path)  # the new folder could not be moved: restore the old one
        shutil.rmtree(temporary, ignore_errors=True)
        if retired.is_dir() and not retired.is_symlink():
            shutil.rmtree(retired, ignore_errors=True)
        else:
            retired.unlink(missing_ok=True)


def refuse_to_replace(folder: Path, but: Collection[str]) -> None:
    """Raise CheckpointError if replacing `folder` would delete anything except the files named in `but`."""
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder} is a file. Choose a new folder.")
    if folder.is_dir() and (others := sorted({path.name for path in folder.iterdir()} - set(but))):
        raise CheckpointError(f"{folder} holds {', '.join(others[:3])}, which would be lost. Choose a new folder.")


def flush(path: Path) -> None:
    """Force the bytes of a file to the disk, so that they are stored before it is renamed; ignores folders."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def folder_bytes(path: Path) -> int:
    """The size of all files below a folder, to which others may write meanwhile."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # deleted or renamed meanwhile
                total += Path(folder, name).lstat().st_size
    return total


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path, half: bool = False, facts: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as safetensors, atomically.

    half: store floating-point tensors in fp16, except those with values that it cannot represent.
    facts: text to store in the file's header, see `read_facts`.

    Raises OSError when the file cannot be written, for example on a full disk.
    """
    stored = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if half and tensor.is_floating_point():
            halved = tensor.to(torch.float16)
            tensor = halved if torch.isfinite(halved).all() else tensor.float()
        stored[name] = tensor.clone()
    with atomic_file(path) as temporary:
        try:
            save_file(stored, temporary, metadata={"format": "pt", **(facts or {})})
        except SafetensorError as error:
            raise OSError(errno.EIO, f"the weights could not be written ({error})", str(path)) from error


def load_tensors(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read safetensors with exactly the names and shapes of `expected`, in its dtypes, on the CPU.

    Raises CheckpointError, naming the file, when it is missing or damaged, does not fit, or has NaN or infinity in it.
    """
    return checked_tensors(read_tensors(path), expected, path)


def checked_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors read from `path`, in the dtypes of `expected`.

    Raises CheckpointError, naming the file, when the names or shapes differ or a number is not finite.
    """
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected]
    if missing or surplus:
        first = f"missing {', '.join(missing[:3])}" if missing else f"unexpected {', '.join(surplus[:3])}"
        counts = f"{len(missing)} missing and {len(surplus)} unexpected in all"
        raise CheckpointError(f"{path} does not fit its config.json: {first} ({counts}). {SAVED_TOGETHER}")
    for name, wanted in expected.items():
        got = tensors[name]
        if got.shape != wanted.shape:
            shapes = f"{tuple(got.shape)} where config.json asks for {tuple(wanted.shape)}"
            raise CheckpointError(f"{path}: {name} has shape {shapes}. {SAVED_TOGETHER}")
        if not torch.isfinite(got).all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinity; the training run that wrote it diverged.")
    return {name: tensors[name].to(wanted.dtype) for name, wanted in expected.items()}


def read_tensors(path: Path, most_bytes: int | None = None) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU.

    Raises CheckpointError, naming the file, when it is missing or damaged, or larger than `most_bytes`.
    """
    with opened_tensors(path, most_bytes) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary


def read_facts(path: Path) -> dict[str, str]:
    """The facts in the header of a safetensors file. Raises CheckpointError when it is missing or damaged."""
    with opened_tensors(path) as file:
        return file.metadata() or {}


@contextlib.contextmanager
def opened_tensors(path: Path, most_bytes: int | None = None) -> Iterator[Any]:
    """Open a safetensors file to be read on the CPU; raises as `read_tensors`."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; a checkpoint folder needs it.")
    if most_bytes and path.stat().st_size > most_bytes:
        raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes; at most {most_bytes:,} are read.")
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > MAX_HEADER_BYTES:  # it would be parsed whole, into ten times the memory, while all threads wait
        raise CheckpointError(
            f"{path} is not a whole safetensors file of a model: {header_bytes:,} bytes of names come before its "
            f"numbers; at most {MAX_HEADER_BYTES:,} are read."
        )
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({path.stat().st_size:,} bytes; {error}). "
            "It may be a cut-off download: fetch it again."
        ) from error
