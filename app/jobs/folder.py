"""The folder of a training job: where its parts lie, its journal, and its sample grids."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.jobs.store import Job
from app.recently_used import RecentlyUsed
from app.settings import Settings
from ganime.files import write_bytes, write_json
from ganime.models.checkpoint import saved_models
from ganime.nets.dcgan import CONFIG_FILE
from ganime.training.events import EVENTS_FILE, PREVIEWS, read_journal
from ganime.training.run_folder import saves
from ganime.training.run_start import saved_distance

CROP_FILE = "crop-faces"  # there if the faces are to be cut out of the pictures
HUB_FILE = "elsewhere.json"
MAX_JOURNALS = 16  # kept in memory
MAX_GRIDS = 240  # sample grids kept for a job; the slider that shows them is a few hundred pixels wide
# By run: size and modification time of the journal, and its lines.
JOURNALS: RecentlyUsed[tuple[tuple[int, int], list[dict[str, Any]]]] = RecentlyUsed(MAX_JOURNALS)


@dataclass(frozen=True)
class HubPlace:
    """Where a job trains, or was trained, on the account of its visitor; nothing of it is secret from that visitor.

    id, url: of the job on the hub, in the account `owner`.
    dataset: owner/name of the private dataset that has the faces and gets the run.
    flavor: kind of the machine. dollars: the most that the job can cost.
    """

    id: str
    owner: str
    dataset: str
    url: str
    flavor: str
    dollars: float


@dataclass(frozen=True)
class JobFolder:
    """Paths of the parts of a job. The folder is named by the job's id, never by anything a visitor chose."""

    path: Path

    @property
    def uploads(self) -> Path:
        return self.path / "uploads"

    @property
    def cache(self) -> Path:
        """Decoded faces; the command line puts them here when `--home` is this folder."""
        return self.path / "cache"

    @property
    def start(self) -> Path:
        """Contains the folder of the model that the run begins from."""
        return self.path / "start"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def crop(self) -> str:
        """How the faces are taken out of the uploaded pictures, one of `ganime.config.CROPS`."""
        return "faces" if (self.path / CROP_FILE).exists() else "none"

    def set_crop(self, crop: str) -> None:
        """Take the faces out of the pictures in this way from now on. They are decoded again."""
        if crop == self.crop:
            return
        shutil.rmtree(self.cache, ignore_errors=True)  # so that a draft takes no more space than was reserved for it
        if crop == "faces":
            write_bytes(self.path / CROP_FILE, b"")
        else:
            (self.path / CROP_FILE).unlink()

    @property
    def on_hub(self) -> HubPlace | None:
        """Where the job trains, or was trained, if not here."""
        path = self.path / HUB_FILE
        return HubPlace(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def set_on_hub(self, place: HubPlace | None) -> None:
        """Note where the job trains; None for here."""
        if place:
            write_json(self.path / HUB_FILE, asdict(place))
        else:
            (self.path / HUB_FILE).unlink(missing_ok=True)

    @property
    def was_fetched(self) -> bool:
        """Whether the run was trained on the hub and is here now, without what is needed to resume it."""
        return self.on_hub is not None and bool(self.models())

    def log(self, attempt: int) -> Path:
        return self.path / f"log-{attempt}.txt"

    def models(self) -> list[Path]:
        """Return the model folders of the run, the preferred one first."""
        return saved_models(self.run)

    def saved_images(self) -> int:
        """Return the number of images seen at the newest save, 0 without a save."""
        return max((int(folder.name) for folder in saves(self.run)), default=0)

    def trained_seconds(self) -> float:
        """Return the training time of the newest readable save, 0 without one."""
        for folder in reversed(saves(self.run)):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                return float(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["training"]["seconds"])
        return 0.0

    def distance(self) -> float | None:
        """Return the Fréchet distance of the model that the run stands for, None if it was not measured."""
        models = self.models()
        distance = saved_distance(models[0]) if models else math.inf
        return distance if math.isfinite(distance) else None

    def journal(self) -> list[dict[str, Any]]:
        """Return the lines of the run's journal, oldest first; the file is parsed again only after it has changed."""
        try:
            found = (self.run / EVENTS_FILE).stat()
        except FileNotFoundError:
            return []
        state = (found.st_size, found.st_mtime_ns)
        known = JOURNALS.get(str(self.run))
        if not known or known[0] != state:
            known = JOURNALS.add(str(self.run), (state, read_journal(self.run)))
        return known[1]

    def grids(self) -> dict[int, Path]:
        """Return the sample grids by the number of images seen, oldest first."""
        return {int(path.stem): path for path in sorted((self.run / PREVIEWS).glob("[0-9]*.png"))}

    def thin_grids(self, most: int = MAX_GRIDS) -> None:
        """Delete sample grids beyond `most`; the first and the last stay, the others at even distances."""
        grids = self.grids()
        images = list(grids)
        while len(images) > most:
            inner = range(1, len(images) - 1)
            crowded = min(inner, key=lambda place: images[place + 1] - images[place - 1])
            grids[images.pop(crowded)].unlink(missing_ok=True)


def download_folder(settings: Settings, job: Job) -> Path:
    """Return the folder of a job's downloads. Gradio serves any path in it, so its name is the digest of the key."""
    return settings.temporary / "results" / job.key
