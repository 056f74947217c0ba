"""Models that visitors bring as files: the ZIP that this page offers, or the weights of another DCGAN."""

from __future__ import annotations

import hashlib
import io
import lzma
import re
import secrets
import shutil
import subprocess
import sys
import threading
import zipfile
import zlib
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath

from app.errors import visitor_text
from app.loading import load_model
from app.settings import MEGABYTE
from ganime.background import child_variables
from ganime.errors import CheckpointError
from ganime.faces.search import TooManyError
from ganime.faces.zips import BOUNDED_METHODS, open_zip
from ganime.files import atomic_folder
from ganime.models.checkpoint import CARD_FILE, FILES_FOR_TRAINING, MODEL_FILES
from ganime.models.importing import SUPPORTED
from ganime.nets.dcgan import CONFIG_FILE, WEIGHTS_FILE
from ganime.text import printable

MAX_BROUGHT = 32  # models on the disk, of all visitors; the least recently used are deleted first
MAX_ENTRIES = 200  # of a ZIP
MAX_DIRECTORY_ENTRIES = 10_000  # of a ZIP whose first entries are looked at
END_OF_ZIP = 2**16 + 22  # bytes in which its end record lies
IMPORT_SECONDS = 60  # of processor time for a file of another program
NAME_FILE = "called"  # in the folder of a model: its name
MAX_NAME, MAX_CARD = 80, 10_000  # characters
UNNAMED = "brought model"
UNTITLED = ("unnamed", "best")  # in the cards of models that nobody has named; others are numbers
DRAWING_FILES = set(MODEL_FILES) - set(FILES_FOR_TRAINING)  # what is only trained on stays behind
# What zipfile raises for files that are damaged, encrypted, or packed in a way that it does not know.
UNREADABLE = (OSError, zipfile.BadZipFile, RuntimeError, ValueError, zlib.error, lzma.LZMAError, EOFError)


class ModelFiles:
    """A folder of models that visitors brought, each opened by a secret. Any thread may call any method."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """megabytes: of a file, packed and unpacked, at most."""
        self.root, self.most = folder, megabytes * MEGABYTE
        self.lock = threading.Lock()

    def place(self, secret: str) -> Path:
        """Where the model of a secret lies; the name of the folder, which may become known, does not give it away."""
        return self.root / hashlib.sha256(secret.encode()).hexdigest()[:32]

    def folder(self, secret: str) -> Path:
        """The folder of a brought model. Raises CheckpointError if it was deleted, or never there."""
        folder = self.place(secret)
        if not folder.is_dir():
            raise CheckpointError("This model was brought as a file and is no longer stored here. Open the file again.")
        with suppress(OSError):
            folder.touch()  # the least recently used are deleted first
        return folder

    def name(self, secret: str) -> str:
        """What a brought model is called."""
        with suppress(FileNotFoundError):  # earlier versions wrote none
            return (self.folder(secret) / NAME_FILE).read_text(encoding="utf-8")
        return UNNAMED

    def add(self, path: Path, name: str = "") -> str:
        """Store the model in a file and return the secret that opens it.

        name: of the file as the visitor has it, by default that of `path`. A model without a name has this one.

        Raises CheckpointError, with a text for the visitor, for a file that holds no model or a too large one.
        """
        secret, called = secrets.token_hex(16), ""
        try:
            if is_own_zip(path):
                with atomic_folder(self.place(secret)) as folder:
                    unpack(path, folder, self.most)
                    load_model(folder)
                    called = name_in_card(folder)
            else:
                import_foreign(path, self.place(secret), self.most, PurePosixPath(name or path.name).name)
            called = called or PurePosixPath(name or path.name).stem or UNNAMED
            (self.place(secret) / NAME_FILE).write_text(printable(called, MAX_NAME), encoding="utf-8")
        except UNREADABLE as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                "This file could not be read. It may be damaged or encrypted; save it again."
            ) from error
        self.shrink()
        return secret

    def delete(self, secret: str) -> None:
        """Delete the model of a secret, if it is there."""
        shutil.rmtree(self.place(secret), ignore_errors=True)

    def shrink(self) -> None:
        """Delete the least recently used models beyond MAX_BROUGHT."""
        with self.lock:
            used: list[tuple[float, Path]] = []
            for folder in self.root.iterdir():
                with suppress(OSError):  # deleted meanwhile
                    if not folder.name.startswith("."):  # still being written
                        used.append((folder.stat().st_mtime, folder))
            for _, folder in sorted(used, reverse=True)[MAX_BROUGHT:]:
                shutil.rmtree(folder, ignore_errors=True)


def name_in_card(folder: Path) -> str:
    """The name that a model's card begins with, without the owner of a repository; "" for none."""
    card = folder / CARD_FILE
    with suppress(OSError, UnicodeError), card.open(encoding="utf-8") as file:
        title = re.search(r"^# ([\w.-]+/(?=[\w.-]+$))?(.+)$", file.read(MAX_CARD), re.MULTILINE)
        name = title[2].strip() if title else ""
        return "" if name in UNTITLED or name.isdigit() else name
    return ""


def is_own_zip(path: Path) -> bool:
    """Whether a file is a ZIP of a model's folder, as the page offers it.

    Raises CheckpointError for a ZIP with so many entries that their list alone takes long to read.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_OF_ZIP))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0:
        return False
    if not zipfile.is_zipfile(path):
        return False
    with ExitStack() as opened:
        archive = open_model(path, opened)
        names = {PurePosixPath(name).name for name in archive.namelist()[:MAX_ENTRIES]}
    return {CONFIG_FILE, WEIGHTS_FILE} <= names


def open_model(path: Path, opened: ExitStack) -> zipfile.ZipFile:
    """Open a ZIP until `opened` is closed. Raises CheckpointError for too many entries, and what zipfile raises."""
    try:
        return open_zip(opened.enter_context(io.FileIO(path)), MAX_DIRECTORY_ENTRIES, opened)
    except TooManyError as error:
        raise CheckpointError("This ZIP holds too many files to be a model.") from error


def unpack(path: Path, folder: Path, most: int) -> None:
    """Write the files of a model that draw, and no others, into a folder; `most`: bytes of all of them together.

    Raises CheckpointError for more.
    """
    with ExitStack() as opened:
        archive = open_model(path, opened)
        entries = [(PurePosixPath(entry.filename).name, entry) for entry in archive.infolist()[:MAX_ENTRIES]]
        wanted = {name: entry for name, entry in entries if name in DRAWING_FILES and not entry.is_dir()}
        if sum(entry.file_size for entry in wanted.values()) > most:
            raise CheckpointError(f"The model in this ZIP has more than {most // MEGABYTE} MB, which is too much here.")
        if odd := [name for name, entry in wanted.items() if entry.compress_type not in BOUNDED_METHODS]:
            raise CheckpointError(
                f"{odd[0]} in this ZIP is compressed in an unusual way. Pack it again as a plain ZIP."
            )
        for name, entry in wanted.items():
            with archive.open(entry) as source, (folder / name).open("wb") as target:
                left = entry.file_size  # of a ZIP that states less than it holds, no more is read
                while left and (data := source.read(min(left, MEGABYTE))):
                    target.write(data)
                    left -= len(data)


def import_foreign(path: Path, folder: Path, most: int, name: str) -> None:
    """Import weights of another program in a separate process, so that a hostile file cannot harm this one.

    most: bytes of the imported model. name: of the file, for the visitor.

    Raises CheckpointError with the reason that the import gives.
    """
    command = [sys.executable, "-m", "app.faces.import_child", str(path), str(folder), str(most), str(IMPORT_SECONDS)]
    variables = child_variables()
    variables |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    variables["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=3 * IMPORT_SECONDS,
            env=variables,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError("This file takes too long to import. Import it on your own machine.") from error
    size = sum(file.stat().st_size for file in folder.rglob("*")) if folder.is_dir() else 0
    if done.returncode or size > most:
        shutil.rmtree(folder, ignore_errors=True)
        lines = done.stderr.strip().splitlines()
        reason = visitor_text(lines[-1].removeprefix("Error: ")) if lines and done.returncode == 1 else ""
        reason = reason.replace(path.name, printable(name, MAX_NAME)).removesuffix(f" {SUPPORTED}")[:600]
        too_large = f"It needs more memory, time or space than this page gives it ({most // MEGABYTE} MB on the disk)."
        raise CheckpointError(f"This file cannot be imported. {reason or too_large}")
