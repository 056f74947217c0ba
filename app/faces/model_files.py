"""Models that visitors bring as files: the ZIP that this page offers, or the weights of another DCGAN."""

from __future__ import annotations

import resource
import secrets
import shutil
import subprocess
import sys
import threading
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from app.errors import visitor_text
from app.settings import MEGABYTE
from ganime.errors import CheckpointError
from ganime.files import atomic_folder
from ganime.models.checkpoint import CHECKPOINT_FILES, MODEL_FILES, load_checkpoint
from ganime.nets.dcgan import CONFIG_FILE, WEIGHTS_FILE

MAX_BROUGHT = 32  # models on the disk, of all visitors; the least recently used are deleted first
MAX_ENTRIES = 200  # of a ZIP
IMPORT_SECONDS = 120  # of processor time for a file of another program
IMPORT_MEMORY = 6 * 2**30  # bytes of address space, of which torch alone takes four
DRAWING_FILES = set(MODEL_FILES) - {CHECKPOINT_FILES[2], CHECKPOINT_FILES[3]}  # what is only trained on stays behind


class ModelFiles:
    """A folder of models that visitors brought, by unguessable names. Any thread may call any method."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """megabytes: of a file, packed and unpacked, at most."""
        self.root, self.most = folder, megabytes * MEGABYTE
        self.lock = threading.Lock()

    def folder(self, name: str) -> Path:
        """The folder of a brought model. Raises CheckpointError if it was deleted, or never there."""
        folder = self.root / name
        if not name.isalnum() or not folder.is_dir():
            raise CheckpointError("This model was brought as a file and is no longer stored here. Open the file again.")
        with suppress(OSError):
            folder.touch()  # the least recently used are deleted first
        return folder

    def add(self, path: Path) -> str:
        """Store the model in a file and return its name.

        Raises CheckpointError, with a text for the visitor, for a file that holds no model.
        """
        name = secrets.token_hex(16)
        try:
            if is_own_zip(path):
                with atomic_folder(self.root / name) as folder:
                    unpack(path, folder, self.most)
                    load_checkpoint(folder)
            else:
                import_elsewhere(path, self.root / name)
        except (OSError, zipfile.BadZipFile) as error:
            raise CheckpointError("This file could not be read. It may be damaged; save it again.") from error
        self.shrink()
        return name

    def shrink(self) -> None:
        """Delete the least recently used models beyond MAX_BROUGHT."""
        with self.lock:
            folders = sorted(self.root.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
            for folder in folders[MAX_BROUGHT:]:
                shutil.rmtree(folder, ignore_errors=True)


def is_own_zip(path: Path) -> bool:
    """Whether a file is a ZIP of a model's folder, as the page offers it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = {PurePosixPath(name).name for name in archive.namelist()[:MAX_ENTRIES]}
    return {CONFIG_FILE, WEIGHTS_FILE} <= names


def unpack(path: Path, folder: Path, most: int) -> None:
    """Write the files of a model that draw, and no others, into a folder; `most`: bytes of all of them together.

    Raises CheckpointError for more.
    """
    with zipfile.ZipFile(path) as archive:
        entries = [(PurePosixPath(entry.filename).name, entry) for entry in archive.infolist()[:MAX_ENTRIES]]
        wanted = {name: entry for name, entry in entries if name in DRAWING_FILES and not entry.is_dir()}
        if sum(entry.file_size for entry in wanted.values()) > most:
            raise CheckpointError(f"The model in this ZIP has more than {most // MEGABYTE} MB, which is too much here.")
        for name, entry in wanted.items():
            with archive.open(entry) as source, (folder / name).open("wb") as target:
                left = entry.file_size  # of a ZIP that states less than it holds, no more is read
                while left and (data := source.read(min(left, MEGABYTE))):
                    target.write(data)
                    left -= len(data)


def import_elsewhere(path: Path, folder: Path) -> None:
    """Import weights of another program in a process of its own, so that a hostile file costs this one nothing.

    Raises CheckpointError with the reason that the import gives.
    """
    command = [sys.executable, "-m", "ganime", "import", str(path), "--out", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=2 * IMPORT_SECONDS, preexec_fn=limit_process, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError("This file takes too long to import. Import it on your own machine.") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["It ended without a reason."]
        raise CheckpointError(f"This file cannot be imported. {visitor_text(lines[-1].removeprefix('Error: '))[:600]}")


def limit_process() -> None:
    """Limit the processor time and the memory of the present process."""
    resource.setrlimit(resource.RLIMIT_CPU, (IMPORT_SECONDS, IMPORT_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (IMPORT_MEMORY, IMPORT_MEMORY))
