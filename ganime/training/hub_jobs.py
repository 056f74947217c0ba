"""Training on a machine of the Hugging Face hub: its price, the job, the events in its log, and the run that it leaves.

A private dataset of the user holds what the job needs (this code, the faces) and, at its end, the run.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, JobHardwareInfo, JobStage, Volume
from huggingface_hub import errors as hf
from huggingface_hub.hf_api import RepoSibling

from ganime.background import in_time
from ganime.config import PAUSES
from ganime.errors import ConfigError, HubError, TrainingError
from ganime.models.hub import (
    DOWNLOAD_SECONDS,
    NOT_A_HUB,
    HubUnreachable,
    bounded,
    is_intact,
    overload_of,
    token_to_send,
)
from ganime.models.upload import NO_TOKEN, SLOWEST, Target, explained, refused, upload
from ganime.training.events import Event, parse_event
from ganime.training.hub_needs import PLACE, RUN_FOLDER, START_FOLDER, script, write_needs
from ganime.training.received_run import checked_line
from ganime.version import __version__

IMAGE = "ghcr.io/astral-sh/uv:python3.12-bookworm"  # Python, and uv, which installs packages
PREPARING_MINUTES = 30  # for a job to install its packages, to finish its model, and to upload it
ANSWER_SECONDS = 60.0
LOG_SECONDS, LOG_LINES = 3.0, 100  # that are spent on the log of a running job to find its latest event
OVER = (JobStage.COMPLETED, JobStage.ERROR, JobStage.CANCELED, JobStage.DELETED)  # stages of a job that has ended
T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """A kind of machine that the hub rents out. dollars: for an hour."""

    flavor: str
    description: str
    dollars: float

    def price(self, minutes: float) -> float:
        """The highest price, in dollars, of a job that trains for some minutes."""
        return self.dollars * longest_minutes(minutes) / 60


@dataclass(frozen=True)
class HubJob:
    """A job on the hub. id: of the job, in the account `owner`. dataset: owner/name of the private dataset."""

    id: str
    owner: str
    dataset: str
    url: str


class HubJobs:
    """The jobs of the user whose token is given; no other token is used. Methods raise HubError, whose text has none.

    endpoint: URL of the hub, None for HF_ENDPOINT. scratch: folder for temporary files, None for that of the system.
    """

    def __init__(self, token: str, endpoint: str | None = None, scratch: Path | None = None) -> None:
        if not token_to_send(token):
            raise HubError(NO_TOKEN)
        self.token, self.endpoint, self.scratch, self.owner = token, endpoint, scratch, "user"
        self.api = HfApi(endpoint, token, library_name="ganime", library_version=__version__)
        self.owner = str(self.asked(lambda: self.api.whoami()["name"]))

    def asked(self, question: Callable[[], T]) -> T:
        """The hub's answer to a question, within a minute."""
        target = self.target("ganime")

        def work() -> T:
            try:
                return question()
            except Exception as error:
                raise unanswered(error, target, self.token) from None

        return bounded(ANSWER_SECONDS, target.host, work)

    def target(self, name: str) -> Target:
        """The private dataset of this name."""
        return Target(f"{self.owner}/{name}", True, "dataset", endpoint=self.endpoint)

    def machine(self, flavor: str) -> Machine:
        """A kind of machine and its price. Raises ConfigError for an unknown one."""
        known = {item.name: item for item in self.asked(self.api.list_jobs_hardware)}
        if flavor not in known:
            raise ConfigError(f"flavor is one of {', '.join(known)}; got {flavor[:60]!r}.")
        return machine_of(known[flavor])

    def machines(self) -> list[Machine]:
        """The kinds of machines with one GPU or none, which is all that a job uses; the cheapest comes first."""
        known = self.asked(self.api.list_jobs_hardware)
        small = [item for item in known if not item.accelerator or is_one_gpu(item)]
        return sorted((machine_of(item) for item in small), key=lambda machine: machine.dollars)

    def begin(
        self,
        name: str,
        faces: Sequence[Path],
        options: Sequence[str],
        machine: Machine,
        minutes: float,
        start: Path | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> HubJob:
        """Upload what a job needs, and start it.

        name: of the run. options: for `ganime train`. minutes: of training. start: folder of a model to begin from.
        check: called just before the job is started; what it raises prevents that.
        """
        target = self.target(dataset_name(name))
        with tempfile.TemporaryDirectory(prefix="ganime-", dir=self.scratch) as folder:
            packed = write_needs(Path(folder), faces, start)
            obsolete = [f"{RUN_FOLDER}/*", "faces/*"]
            upload(Path(folder), target, f"Faces and code for {name}", self.token, obsolete)
        if start:
            options = [*options, "--from", f"{PLACE}/{START_FOLDER}/{start.name}"]
        command = ["bash", "-c", script(packed, options, target.repo_id)]
        check()
        try:
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
        except HubUnreachable as error:  # its answer may have been lost
            text = f"{error} See the list of your jobs on the hub, whether {dataset_name(name)} has begun all the same."
            raise HubUnreachable(text) from None
        return HubJob(job.id, self.owner, target.repo_id, job.url)

    def follow(self, job: HubJob) -> Iterator[Event | str]:
        """The events in the log of a job, and its other lines as texts, until it ends.

        Raises TrainingError for a job that did not reach its end.
        """
        try:
            for line in self.api.fetch_job_logs(job_id=job.id, namespace=job.owner, follow=True):
                yield parse_event(line) or line
        except Exception as error:
            raise unanswered(error, self.target("ganime"), self.token) from None
        status = self.asked(lambda: self.api.inspect_job(job_id=job.id, namespace=job.owner)).status
        if status.stage != JobStage.COMPLETED:
            raise TrainingError(
                f"The job {job.id} ended as {status.stage} ({status.message or 'no reason is given'}); see {job.url}."
            )

    def cancel(self, job: HubJob) -> None:
        """End a job. What it has not uploaded is lost."""
        self.asked(lambda: self.api.cancel_job(job_id=job.id, namespace=job.owner))

    def stage(self, job: HubJob) -> tuple[str, str]:
        """The stage of a job, and what the hub says about it; both are "" for a job that the hub does not know."""

        def question() -> tuple[str, str]:
            try:
                status = self.api.inspect_job(job_id=job.id, namespace=job.owner).status
            except hf.HfHubHTTPError as error:
                if error.response.status_code == 404:
                    return "", ""
                raise
            return str(status.stage), str(status.message or "").replace(self.token, "...")[:500]

        return self.asked(question)

    def latest(self, job: HubJob) -> Event | None:
        """The latest event in the log of a job that runs, None where the log does not give one within seconds."""
        found: list[Event] = []

        def read() -> None:
            for line in self.api.fetch_job_logs(job_id=job.id, namespace=job.owner, tail=LOG_LINES):
                if (checked := checked_line(line)) and (event := parse_event(json.dumps(checked))):
                    found.append(event)

        with suppress(Exception):  # the hub holds the answer open as long as the job runs, or has no log of it yet
            in_time(LOG_SECONDS, read, "ganime-hub")
        return found[-1] if found else None

    def fetch(
        self,
        dataset: str,
        run: Path,
        choose: Callable[[Mapping[str, int]], Collection[str]] = list,
        most_bytes: int | None = None,
    ) -> None:
        """Download the run in a dataset to the folder `run`; every file is checked against the checksum in the list.

        choose: returns the files to download, given the bytes of each by its path in the run.
        most_bytes: of these together.

        Raises TrainingError if there is no run.
        """
        info = self.asked(lambda: self.listed(dataset))
        inside = f"{RUN_FOLDER}/"
        files = {
            file.rfilename.removeprefix(inside): file
            for file in info.siblings or []
            if file.rfilename.startswith(inside)
        }
        chosen = [files[name] for name in choose({name: file.size or 0 for name, file in files.items()})]
        if not chosen:
            raise TrainingError(f"{dataset} holds no run: the job ended before its first save, or still trains.")
        size = sum(file.size or 0 for file in chosen)
        if most_bytes is not None and size > most_bytes:
            raise HubError(f"The run in {dataset} has {size:,} bytes; at most {max(0, most_bytes):,} fit here.")
        target = Target(dataset, True, "dataset", endpoint=self.endpoint)
        with tempfile.TemporaryDirectory(prefix="ganime-", dir=self.scratch) as name:
            folder, seconds = Path(name), DOWNLOAD_SECONDS + size / SLOWEST
            bounded(seconds, target.host, lambda: self.download(target, chosen, info.sha, folder))
            if run.exists():
                shutil.copytree(folder / RUN_FOLDER, run, dirs_exist_ok=True)
            else:
                shutil.move(folder / RUN_FOLDER, run)

    def listed(self, dataset: str) -> Any:
        """What the hub knows of a dataset, with the size and checksum of each file."""
        try:
            return self.api.dataset_info(dataset, files_metadata=True, timeout=ANSWER_SECONDS)
        except (hf.RepositoryNotFoundError, hf.GatedRepoError):
            raise HubError(f"There is no dataset {dataset}, or this token may not read it.") from None

    def download(self, target: Target, files: Sequence[RepoSibling], revision: str | None, folder: Path) -> None:
        """Download files of a dataset to their paths in a folder."""
        try:
            for file in files:
                options: dict[str, Any] = {"repo_type": "dataset", "revision": revision, "local_dir": folder}
                path = Path(self.api.hf_hub_download(target.repo_id, file.rfilename, **options))
                if not is_intact(path, file):
                    raise HubError(f"{file.rfilename} of {target.repo_id} arrived damaged. Try again.")
        except Exception as error:
            raise unanswered(error, target, self.token) from None

    def store(self, run: Path, dataset: str) -> None:
        """Upload the folder of a run to a dataset, as a job does at its end."""
        target = Target(dataset, True, "dataset", endpoint=self.endpoint)
        upload(run, target, f"The run {run.name}", self.token, inside=RUN_FOLDER)


def own_token() -> str:
    """The token of this machine, of HF_TOKEN or `hf auth login`. Raises HubError if there is none."""
    token = token_to_send(None)
    if not token:
        raise HubError(NO_TOKEN)
    return token


def unanswered(error: Exception, target: Target, token: str) -> HubError:
    """What a failed question about jobs means to the user. token: is cut out of texts that come from the hub."""
    if isinstance(error, hf.HfHubHTTPError):
        status = error.response.status_code
        if status in (403, 404):
            return HubError(
                f"The token may not do this for {target.repo_id.partition('/')[0]} (HTTP {status}). It needs the right "
                "to write to repositories and to run jobs."
            )
        return overload_of(target.host, status) or refused(status, target)
    if isinstance(error, (HubError, hf.OfflineModeIsEnabled, *NOT_A_HUB)):
        return explained(error, target, token)
    return HubUnreachable(f"{target.host} could not be reached. Check the network, or try again later.")


def is_one_gpu(item: JobHardwareInfo) -> bool:
    """Whether a kind of machine has one accelerator, which is a GPU."""
    accelerator = item.accelerator
    return accelerator is not None and accelerator.type == "gpu" and str(accelerator.quantity) == "1"


def machine_of(item: JobHardwareInfo) -> Machine:
    """A kind of machine as the hub describes it. Raises HubError if its price is of an unknown kind."""
    hours = {"minute": 60, "hour": 1}.get(item.unit_label, 0)
    if not hours:
        raise HubError(f"The price of {item.name} is given for a {item.unit_label[:20]!r}, which is unknown here.")
    gpu = f", {item.accelerator.quantity} x {item.accelerator.model}" if item.accelerator else ""
    return Machine(item.name, f"{item.pretty_name} ({item.cpu}, {item.ram}{gpu})", item.unit_cost_usd * hours)


def longest_minutes(minutes: float) -> float:
    """The minutes after which the hub ends a job that trains for some minutes."""
    return minutes * (1 + PAUSES) + PREPARING_MINUTES


def dataset_name(run: str) -> str:
    """The name of the dataset for a run."""
    return f"ganime-{re.sub(r'[^A-Za-z0-9]+', '-', run).strip('-')[:60] or 'run'}"
