"""Training on a machine of the Hugging Face hub: its price, the job, the events in its log, and the run that it leaves.

A private dataset of the user holds what the job needs (this code, the faces) and, at its end, the run.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import TypeVar

from huggingface_hub import HfApi, JobStage, Volume
from huggingface_hub import errors as hf

from ganime.config import PAUSES
from ganime.embedded import TRAINING_FACES
from ganime.errors import ConfigError, HubError, TrainingError
from ganime.faces.kinds import ARCHIVE_SUFFIXES, SUFFIXES, TABLE_SUFFIXES
from ganime.models.hub import bounded, token_to_send
from ganime.models.upload import NO_TOKEN, Target, explained, upload
from ganime.own_files import own_files
from ganime.training.events import Event, parse_event
from ganime.version import __version__

IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"  # Python, and uv, which installs packages
PLACE, REMOTE_RUN = "/job", "/tmp/run"  # where the dataset is mounted, and where the job trains
RUN_FOLDER = "run"  # of the dataset
PREPARING_MINUTES = 30  # for a job to install its packages, to finish its model, and to upload it
ANSWER_SECONDS = 60.0
PACKAGE = Path(__file__).resolve().parents[1]
NEEDED = (PACKAGE.name, "weights")  # the code of a job
NOT_NEEDED = {"make", TRAINING_FACES.name}  # folders of the weights
T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """A kind of machine that the hub rents out. dollars: for an hour."""

    flavor: str
    description: str
    dollars: float


@dataclass(frozen=True)
class HubJob:
    """A job on the hub. id: of the job, in the account `owner`. dataset: owner/name of the private dataset."""

    id: str
    owner: str
    dataset: str
    url: str


class HubJobs:
    """The jobs of the user whose token is used. Methods raise HubError, with a text that contains no token.

    endpoint: URL of the hub, None for HF_ENDPOINT.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        token = token_to_send(None)
        if not token:
            raise HubError(NO_TOKEN)
        self.token, self.endpoint, self.owner = token, endpoint, "user"
        self.api = HfApi(endpoint, token, library_name="ganime", library_version=__version__)
        self.owner = str(self.asked(lambda: self.api.whoami()["name"]))

    def asked(self, question: Callable[[], T]) -> T:
        """The hub's answer to a question, within a minute."""
        target = self.target("ganime")

        def work() -> T:
            try:
                return question()
            except Exception as error:
                raise explained(error, target, self.token) from None

        return bounded(ANSWER_SECONDS, target.host, work)

    def target(self, name: str) -> Target:
        """The private dataset of this name."""
        return Target(f"{self.owner}/{name}", True, "dataset", endpoint=self.endpoint)

    def machine(self, flavor: str) -> Machine:
        """A kind of machine and its price. Raises ConfigError for an unknown one."""
        known = {item.name: item for item in self.asked(self.api.list_jobs_hardware)}
        if flavor not in known:
            raise ConfigError(f"--flavor is one of {', '.join(known)}; got {flavor[:60]!r}.")
        found = known[flavor]
        hours = {"minute": 60, "hour": 1}.get(found.unit_label, 0)
        if not hours:
            raise HubError(f"The price of {flavor} is given for a {found.unit_label[:20]!r}, which is unknown here.")
        gpu = f", {found.accelerator.quantity} x {found.accelerator.model}" if found.accelerator else ""
        return Machine(flavor, f"{found.pretty_name} ({found.cpu}, {found.ram}{gpu})", found.unit_cost_usd * hours)

    def begin(
        self, name: str, faces: Sequence[Path], options: Sequence[str], machine: Machine, minutes: float
    ) -> HubJob:
        """Upload what a job needs, and start it.

        name: of the run. options: for `ganime train`. minutes: of training.
        """
        target = self.target(dataset_name(name))
        with tempfile.TemporaryDirectory(prefix="ganime-") as folder:
            packed = write_needs(Path(folder), faces)
            obsolete = [f"{RUN_FOLDER}/*", "faces/*"]
            upload(Path(folder), target, f"Faces and code for {name}", self.token, obsolete)
        command = ["bash", "-c", script(packed, options, target.repo_id)]
        job = self.asked(
            lambda: self.api.run_job(
                image=IMAGE,
                command=command,
                flavor=machine.flavor,
                secrets={"HF_TOKEN": self.token},
                timeout=round(60 * longest_minutes(minutes)),
                volumes=[Volume(type="dataset", source=target.repo_id, mount_path=PLACE)],
                namespace=self.owner,
                name=dataset_name(name),
            )
        )
        return HubJob(job.id, self.owner, target.repo_id, job.url)

    def follow(self, job: HubJob) -> Iterator[Event | str]:
        """The events in the log of a job, and its other lines as texts, until it ends.

        Raises TrainingError for a job that did not reach its end.
        """
        try:
            for line in self.api.fetch_job_logs(job_id=job.id, namespace=job.owner, follow=True):
                yield parse_event(line) or line
        except Exception as error:
            raise explained(error, self.target("ganime"), self.token) from None
        status = self.asked(lambda: self.api.inspect_job(job_id=job.id, namespace=job.owner)).status
        if status.stage != JobStage.COMPLETED:
            raise TrainingError(
                f"The job {job.id} ended as {status.stage} ({status.message or 'no reason is given'}); see {job.url}."
            )

    def cancel(self, job: HubJob) -> None:
        """End a job. What it has not uploaded is lost."""
        self.asked(lambda: self.api.cancel_job(job_id=job.id, namespace=job.owner))

    def fetch(self, dataset: str, run: Path) -> None:
        """Download the run in a dataset to the folder `run`. Raises TrainingError if it holds none."""
        patterns = f"{RUN_FOLDER}/*"
        with tempfile.TemporaryDirectory(prefix="ganime-") as name:
            folder = Path(name)
            try:
                self.api.snapshot_download(dataset, repo_type="dataset", allow_patterns=patterns, local_dir=folder)
            except (hf.RepositoryNotFoundError, hf.GatedRepoError):
                raise HubError(f"There is no dataset {dataset}, or this token may not read it.") from None
            except Exception as error:
                raise explained(error, self.target("ganime"), self.token) from None
            if not (folder / RUN_FOLDER).is_dir():
                raise TrainingError(f"{dataset} holds no run: the job ended before its first save, or still trains.")
            shutil.copytree(folder / RUN_FOLDER, run, dirs_exist_ok=True)

    def store(self, run: Path, dataset: str) -> None:
        """Upload the folder of a run to a dataset, as a job does at its end."""
        target = Target(dataset, True, "dataset", endpoint=self.endpoint)
        upload(run, target, f"The run {run.name}", self.token, inside=RUN_FOLDER)


def longest_minutes(minutes: float) -> float:
    """The minutes after which the hub ends a job that trains for some minutes."""
    return minutes * (1 + PAUSES) + PREPARING_MINUTES


def dataset_name(run: str) -> str:
    """The name of the dataset for a run."""
    return f"ganime-{re.sub(r'[^A-Za-z0-9]+', '-', run).strip('-')[:60] or 'run'}"


def write_needs(folder: Path, faces: Sequence[Path]) -> list[str]:
    """Write what a job needs into a folder; returns the names of the zips of faces in it."""
    for path in own_files(PACKAGE.parent, NEEDED):
        if not (NOT_NEEDED.intersection(path.parts) or path.suffix == ".webp"):
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
    """Write the pictures in a folder, or a file as it is, to `out`; returns its name. Raises ConfigError without it."""
    if not source.exists():
        raise ConfigError(f"{source} is not on this machine, from where faces are uploaded. Download it first.")
    if source.is_file():
        shutil.copyfile(source, out)
        return out.name
    with zipfile.ZipFile(out, "w") as archive:  # pictures are compressed already
        for path in sorted(source.rglob("*")):
            if path.is_file() and path.suffix.lower() in SUFFIXES | ARCHIVE_SUFFIXES | TABLE_SUFFIXES:
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
