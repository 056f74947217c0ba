"""Training on a machine of the Hugging Face hub: `train --on hf-jobs`, and `fetch-run` for a run that it left there."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ganime.cli.common import show_progress
from ganime.cli.progress import show_events
from ganime.config import SCRATCH, TrainConfig
from ganime.errors import ConfigError, TrainingError
from ganime.models.hub import names_folder
from ganime.training.events import Event
from ganime.training.hub_jobs import HubJob, HubJobs, dataset_name, longest_minutes, own_token
from ganime.training.hub_needs import options_of
from ganime.training.run_folder import discard_unsaved

ON_HUB = "hf-jobs"
DatasetArgument = Annotated[str, typer.Argument(help="owner/name of the private dataset that has the run.")]


def check_on_hub(on: str, resume: Path | None, device: str) -> None:
    """Raise ConfigError for another place than the hub, and for options of `train` that have no meaning there."""
    if on != ON_HUB or resume:
        raise ConfigError(f"--on takes {ON_HUB} and begins a new run with --out; got {on[:40]!r}.")
    if device != "auto":
        raise ConfigError(f"--on {ON_HUB} trains on the device of the machine: choose it by --flavor, not --device.")


def check_options(out: Path | None, start: str | None, minutes: float) -> Path:
    """The folder of the run. Raises ConfigError for options of `train` that a job on the hub cannot do with."""
    if out is None:
        raise ConfigError(f"--on {ON_HUB} begins a new run: name its folder with --out.")
    if not minutes:
        raise ConfigError(f"--on {ON_HUB} needs --minutes: the machine is paid for by the minute.")
    if start and start != SCRATCH and names_folder(start):
        raise ConfigError("A job on the hub starts from the embedded model, scratch or a model on the hub (--from).")
    return out


def train_there(data: Sequence[Path], out: Path, given: dict[str, Any], flavor: str, yes: bool) -> None:
    """Train on a machine of the hub, print what happens there, and fetch the run.

    given: the options of `train` that were given, by name; the price follows from the minutes.
    """
    minutes = given["minutes"]
    hub = HubJobs(own_token())
    machine = hub.machine(flavor)
    most = longest_minutes(minutes)
    dataset = f"{hub.owner}/{dataset_name(out.name)}"
    print(
        f"{machine.flavor}: {machine.description}, ${machine.dollars:.2f} an hour. This job takes {minutes:g} minutes "
        f"of training and at most {most - minutes:.0f} more, so it costs at most ${machine.price(minutes):.2f}.\n"
        f"Your faces, this code and your token go to the account {hub.owner}, the faces into the private dataset "
        f"{dataset}."
    )
    if not yes and not confirmed("Start it?"):
        raise ConfigError("Nothing was started. Add --yes to start it without being asked.")
    show_progress("uploading the faces")
    job = hub.begin(out.name, data, options_of(given), machine, minutes)
    print(f"Job {job.id}: {job.url}", flush=True)
    watch(hub, job, out)
    fetch(hub, job.dataset, out)


def watch(hub: HubJobs, job: HubJob, out: Path) -> None:
    """Print the events of a job until it ends. Ctrl+C asks whether to end it, too; it goes on otherwise."""
    try:
        show_events(events_of(hub.follow(job)), TrainConfig())
    except KeyboardInterrupt:
        if confirmed("End the job as well? What it has trained is lost. Otherwise it goes on, and costs."):
            hub.cancel(job)
            raise TrainingError(f"The job {job.id} was ended.") from None
        raise TrainingError(
            f"The job {job.id} goes on: {job.url}. When it has ended, fetch its run: ganime fetch-run {job.dataset} "
            f"--out {out}."
        ) from None


def events_of(items: Iterator[Event | str]) -> Iterator[Event]:
    """The events of a job; what else is in its log is printed as it is."""
    for item in items:
        if isinstance(item, str):
            print(item, flush=True)
        else:
            yield item


def fetch(hub: HubJobs, dataset: str, out: Path) -> None:
    show_progress("downloading the run")
    hub.fetch(dataset, out)
    print(f"The run is in {out}. Its faces and the run itself stay in {dataset}; delete it there if you like.")


def fetch_run_command(
    dataset: DatasetArgument, out: Annotated[Path, typer.Option(help="Folder to write the run to.")]
) -> None:
    """Fetch the run that a job on the hub has left (`train --on hf-jobs`)."""
    discard_unsaved(out)
    fetch(HubJobs(own_token()), dataset, out)


def store_run_command(run: Annotated[Path, typer.Argument()], dataset: DatasetArgument) -> None:
    """Store a run in a dataset, as a job on the hub does at its end."""
    HubJobs(own_token()).store(run, dataset)


def confirmed(question: str) -> bool:
    """Whether a person at the terminal says yes; False if nobody can be asked."""
    return sys.stdin.isatty() and typer.confirm(question)
