"""Data sets of the Hugging Face hub as sources of faces: their pictures, archives and tables are downloaded once."""

from __future__ import annotations

import concurrent.futures as futures
import re
from collections.abc import Callable
from glob import escape
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub import errors as hf
from huggingface_hub.utils import HFValidationError, validate_repo_id

from ganime.background import begun, in_time
from ganime.errors import DataError
from ganime.faces.kinds import ARCHIVE_SUFFIXES, SUFFIXES, TABLE_SUFFIXES, suffix_of
from ganime.files import folder_bytes
from ganime.version import __version__

LISTING_SECONDS = 60.0
STALLED_SECONDS = 300.0  # without a new byte on the disk, after which a download is given up
MAX_BYTES = 64 * 2**30  # of the files of a data set that are downloaded
FOLDER = "hub"  # of downloaded data sets, in the folder of caches
THREAD = "ganime-datasets"
HEADERS = {"user-agent": f"ganime/{__version__}"}
WANTED = sorted(SUFFIXES | ARCHIVE_SUFFIXES | TABLE_SUFFIXES)
# hf://datasets/owner/name[@revision][/folder], or the same as an address. A path has lost one of the two slashes.
REFERENCE = re.compile(
    r"(?:hf:/+datasets/|https?:/+huggingface\.co/datasets/)([\w.-]+/[\w.-]+)"
    r"(?:@([^/]+)|/(?:tree|blob|resolve)/([^/?#]+))?((?:/[^/?#]+)*)/?(?:[?#].*)?",
    re.ASCII,
)
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE)
T = TypeVar("T")


def local_source(source: str, cache: Path) -> Path:
    """The path of a source; a data set of the hub is downloaded first, into `cache`.

    Raises DataError when it cannot be downloaded, and for the address of anything else.
    """
    path = Path(source)
    if not path.exists() and (match := REFERENCE.fullmatch(source)):
        revision = unquote(match[2] or match[3] or "main")
        return download(match[1], revision, unquote(match[4].strip("/")), cache / FOLDER)
    if not path.exists() and (match := ADDRESS.fullmatch(source)):
        raise DataError(
            f"{match[1]}://{match[2]} is an address. Download it and name the file; the only addresses that are read "
            "are those of data sets of the Hugging Face hub, hf://datasets/owner/name."
        )
    return path


def download(repo_id: str, revision: str, inside: str, cache: Path) -> Path:
    """Download the pictures, archives and tables of a data set, and return their folder.

    If the hub cannot be reached, a whole copy in the cache is used. inside: a folder or file of the data set, "" for
    all of it.

    Raises DataError.
    """
    name = f"hf://datasets/{repo_id}@{revision}"
    try:
        validate_repo_id(repo_id)
        check_size(repo_id, revision, inside, name)
        patterns = patterns_for(inside)

        def fetch() -> str:
            return snapshot_download(
                repo_id,
                repo_type="dataset",
                revision=revision,
                cache_dir=cache,
                allow_patterns=patterns,
                headers=HEADERS,
            )

        folder = Path(unless_stalled(fetch, cache))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{name} cannot be downloaded: {explained(error)}") from None
    if not (folder / inside).resolve().is_relative_to(cache.resolve()) or not (folder / inside).exists():
        raise DataError(f"{name} has no folder or file {inside}.")
    return folder / inside


def check_size(repo_id: str, revision: str, inside: str, name: str) -> None:
    """Raise DataError when the files to download are none or too large. A hub that cannot be reached passes."""
    try:
        api = HfApi(headers=HEADERS)
        info = in_time(
            LISTING_SECONDS,
            lambda: api.dataset_info(repo_id, revision=revision, files_metadata=True, timeout=LISTING_SECONDS),
            THREAD,
        )
    except (hf.RepositoryNotFoundError, hf.RevisionNotFoundError):
        raise
    except Exception:  # a hub that cannot be reached fails in many ways; the download says which, if there is no copy
        return
    files = [
        file
        for file in info.siblings or []
        if suffix_of(file.rfilename) in WANTED and (file.rfilename + "/").startswith(f"{inside}/".lstrip("/"))
    ]
    if not files:
        raise DataError(f"{name}{f'/{inside}' if inside else ''} has no pictures, archives or Parquet files.")
    if (size := sum(file.size or 0 for file in files)) > MAX_BYTES:
        raise DataError(f"{name} has {size:,} bytes; at most {MAX_BYTES:,} are downloaded. Name one of its folders.")


def patterns_for(inside: str) -> list[str]:
    """The patterns of the files that may contain pictures, in either case of letters."""
    if suffix_of(inside) in WANTED:
        return [escape(inside)]
    start = f"{escape(inside)}/" if inside else ""
    return [f"{start}*{ending}" for suffix in WANTED for ending in (suffix, suffix.upper())]


def explained(error: Exception) -> str:
    """What a failure means to the user. The texts of other errors are left out, which may hold a token."""
    if isinstance(error, hf.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # huggingface_hub wraps what happened
    if isinstance(error, hf.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE keeps this program off the hub, and no whole copy is in the cache."
    if isinstance(error, HFValidationError):
        return "the name is not of the form owner/name."
    if isinstance(error, hf.RevisionNotFoundError):
        return "it has no such revision. Give a branch, a tag or a full commit."
    if isinstance(error, hf.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403, 404):
            return f"it is private, gated or not there (HTTP {status}). Check the name, or set HF_TOKEN."
        return f"the hub answers with HTTP {status}. Try again later."
    if isinstance(error, TimeoutError):
        return "the hub does not answer. Try again later: what was downloaded is kept."
    if isinstance(error, OSError) and error.errno and error.strerror:
        return f"{error.strerror}. Make room, or choose another folder with --home."
    return "the hub cannot be reached. Check the network, or try again later."


def unless_stalled(work: Callable[[], T], folder: Path) -> T:
    """Return or raise what `work()` does: a download to `folder`, which has all its time while bytes arrive there.

    Raises TimeoutError once none do. No time limit of huggingface_hub bounds how long it waits when the hub tells it to
    come back later.
    """
    future, before = begun(work, THREAD), -1
    while True:
        try:
            return future.result(STALLED_SECONDS)
        except futures.TimeoutError:
            size = folder_bytes(folder)
            if size == before:
                raise TimeoutError from None
            before = size
