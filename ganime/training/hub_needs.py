"""What a training job on the hub needs: the code, the faces, a model to begin from, and the script that it runs."""

from __future__ import annotations

import shlex
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from ganime.errors import ConfigError
from ganime.faces.dataset import MIN_FACES, too_few
from ganime.faces.kinds import ARCHIVE, PICTURE, TABLE
from ganime.faces.search import Search
from ganime.faces.sources import file_entry, kind_of, list_pictures
from ganime.own_files import own_files

PLACE, REMOTE_RUN = "/job", "/tmp/run"  # where the dataset is mounted, and where the job trains
RUN_FOLDER, START_FOLDER = "run", "start"  # of the dataset
PACKAGE = Path(__file__).resolve().parents[1]
NEEDED = (PACKAGE.name, "weights")  # the code of a job
NOT_NEEDED = "make"  # a folder of the weights, which made them


def check_faces(sources: Sequence[Path], crop: str) -> None:
    """Raise ConfigError for faces that are not on this machine, DataError for sources without enough pictures.

    Nothing is decoded. crop: one of `ganime.config.CROPS`; where faces are cut out, a picture may have several.
    """
    for source in sources:
        if not source.exists():
            raise ConfigError(f"{source} is not on this machine, from where faces are uploaded. Download it first.")
    with ExitStack() as opened:
        search = Search(opened)
        pictures = sum(1 for source in sources for _ in list_pictures(source, search))
    if pictures < (1 if crop == "faces" else MIN_FACES):
        raise too_few(sources, pictures, search)


def write_needs(folder: Path, faces: Sequence[Path], start: Path | None = None) -> list[str]:
    """Write what a job needs into a folder; returns the names of the zips of faces in it.

    start: folder of the model to begin from.
    """
    if start:
        shutil.copytree(start, folder / START_FOLDER / start.name)
    for path in own_files(PACKAGE.parent, NEEDED):
        if not (NOT_NEEDED in path.parts or path.suffix == ".webp"):
            (folder / "code" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PACKAGE.parent / path, folder / "code" / path)
    (folder / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
    (folder / "faces").mkdir()
    return [pack(path, folder / "faces" / f"{number}.zip") for number, path in enumerate(faces)]


def requirements() -> list[str]:
    """The packages that this package needs."""
    listed = PACKAGE.parent / "requirements.txt"
    if listed.is_file():
        return [line for line in listed.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    try:
        return [line for line in requires("ganime") or [] if "extra ==" not in line]
    except PackageNotFoundError as error:
        raise ConfigError("The packages that Ganime needs are unknown. Install it again.") from error


def pack(source: Path, out: Path) -> str:
    """Write the pictures in a folder, or a file as it is, to `out`; returns its name."""
    if source.is_file():
        shutil.copyfile(source, out)
        return out.name
    with zipfile.ZipFile(out, "w") as archive:  # pictures are compressed already
        for path in sorted(source.rglob("*")):
            if path.is_file() and kind_of(file_entry(path, path.name)) in (PICTURE, ARCHIVE, TABLE):
                archive.write(path, path.relative_to(source).as_posix())
    return out.name


def script(faces: Sequence[str], options: Sequence[str], dataset: str) -> str:
    """What the job runs. A run that fails is uploaded, too, if anything was saved."""
    words = [*(f"{PLACE}/faces/{name}" for name in faces), "--out", REMOTE_RUN, "--home", "/tmp/home", "--events"]
    return "\n".join(
        [
            "set -e",
            f"uv pip install --system --quiet --requirement {PLACE}/requirements.txt",
            f"cd {PLACE}/code",
            "export PYTHONDONTWRITEBYTECODE=1",
            "ended=0",
            f"python -m ganime train {shlex.join([*words, *options])} || ended=$?",
            f"if [ -d {REMOTE_RUN}/saves ]; then python -m ganime store-run {REMOTE_RUN} {shlex.quote(dataset)}; fi",
            "exit $ended",
        ]
    )


def options_of(given: Mapping[str, Any]) -> list[str]:
    """Options of `ganime train` as words of a command; those that are None or False are left out, 0 is not."""
    words: list[str] = []
    for name, value in given.items():
        option = "--from" if name == "start" else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words
