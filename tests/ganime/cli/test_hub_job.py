"""`train --on hf-jobs`: the price comes first, the job gets what it needs, and its run comes back."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import typer

from ganime.cli import hub_job
from ganime.training.events import Done, Notice, Step, Verdict, event_line
from tests.ganime.cli.common import Answer, assert_refused
from tests.hub_jobs import Job
from tests.hub_server import HubServer

TOKEN = "hf_ada"
STEP = Step(8, 256, 1.5, 0.5, 0.1, -0.1, 30.0, 0.5)
DATASET = "ada/ganime-mine"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[HubServer]:
    with HubServer() as server:
        server.accounts = {TOKEN: "ada"}
        server.become_default(monkeypatch)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr("ganime.training.hub_needs.NEEDED", ("ganime",))  # without the large weights
        yield server


@pytest.fixture
def trains(hub: HubServer, small_run: Path) -> None:
    """Jobs of the hub log events and other lines, and leave a run."""

    def play(job: Job) -> None:
        run = Path("/tmp/run")
        verdict, done = Verdict(256, "healthy", "it learns", "Go on."), Done(512, "minutes", run / "saves" / "512")
        job.log = ["installing packages", *(event_line(event, run) for event in (STEP, verdict, done))]
        files = {
            f"run/{path.relative_to(small_run)}": path.read_bytes() for path in small_run.rglob("*") if path.is_file()
        }
        hub.commit("dataset", DATASET, hub.datasets[DATASET].files | files)
        job.stage = "COMPLETED"
        job.goes_on.set()

    hub.on_job = play


def train(ganime: Callable[..., Answer], faces: Path, out: Path, *more: object) -> Answer:
    return ganime("train", faces, "--out", out, "--on", "hf-jobs", "--minutes", 60, *more)


@pytest.mark.usefixtures("trains")
def test_job_is_started_followed_and_its_run_fetched(
    ganime: Callable[..., Answer], hub: HubServer, faces_folder: Path, small_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    answer = train(
        ganime,
        faces_folder,
        out,
        "--yes",
        "--image-size",
        32,
        "--recipe",
        "classic",
        "--no-clarity",
        "--critic",
        0,
        "--seed",
        0,
        "--threads",
        2,
    )
    assert answer.status == 0, answer.error
    assert torch.get_num_threads() == 1  # the option is for the machine there
    assert "$0.40 an hour" in answer.out
    assert "at most $0.64" in answer.out  # 60 minutes, 6 for pauses, and 30 for what comes before and after
    for line in ("installing packages", "Step: 8 [D loss: 1.5000", "healthy: it learns", "ended (minutes)"):
        assert line in answer.out
    assert (out / "run.json").read_bytes() == (small_run / "run.json").read_bytes()
    assert list((out / "saves").glob("*/state.pt"))

    [job] = hub.jobs
    assert job.wanted["flavor"] == "t4-small"
    assert job.wanted["timeoutSeconds"] == 96 * 60
    assert job.wanted["secrets"] == {"HF_TOKEN": TOKEN}
    [volume] = job.wanted["volumes"]
    assert (volume["type"], volume["source"], volume["mountPath"]) == ("dataset", DATASET, "/job")
    script = job.wanted["command"][-1]
    assert "/job/faces/0.zip --out /tmp/run" in script
    assert "--recipe classic --image-size 32" in script
    assert all(
        word in script
        for word in (
            "--events",
            "--no-clarity",
            "--critic 0",
            "--seed 0",
            "--threads 2",
            "--minutes 60",
            f"store-run /tmp/run {DATASET}",
        )
    )
    assert TOKEN not in script


@pytest.mark.usefixtures("trains")
def test_job_gets_the_faces_and_the_code_in_a_private_dataset(
    ganime: Callable[..., Answer], hub: HubServer, faces_folder: Path, tmp_path: Path
) -> None:
    assert train(ganime, faces_folder, tmp_path / "mine", "--yes").status == 0
    dataset = hub.datasets[DATASET]
    assert dataset.private
    faces = zipfile.ZipFile(io.BytesIO(dataset.files["faces/0.zip"]))
    assert len(faces.namelist()) == 64
    assert dataset.files["code/ganime/cli/train.py"] == (Path(hub_job.__file__).parent / "train.py").read_bytes()
    assert b"torch" in dataset.files["requirements.txt"]


def test_nothing_is_uploaded_or_started_before_the_price_is_accepted(
    ganime: Callable[..., Answer], hub: HubServer, faces_folder: Path, tmp_path: Path
) -> None:
    answer = train(ganime, faces_folder, tmp_path / "mine", "--flavor", "cpu-basic")
    assert answer.status == 1
    assert "$0.01 an hour" in answer.out
    assert "--yes" in answer.error
    assert (hub.jobs, hub.datasets) == ([], {})


def test_what_a_job_cannot_do_is_refused_before_anything_is_asked_of_the_hub(
    ganime: Callable[..., Answer], hub: HubServer, faces_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    assert_refused(ganime("train", faces_folder, "--out", out, "--on", "hf-jobs"), "--minutes")
    assert_refused(ganime("train", faces_folder, "--resume", out, "--on", "hf-jobs"), "--out")
    assert_refused(ganime("train", faces_folder, "--out", out, "--on", "mars"), "hf-jobs")
    assert_refused(train(ganime, faces_folder, out, "--from", tiny_folder), "--from")
    assert_refused(train(ganime, faces_folder, out, "--device", "cuda"), "--flavor")
    for option, value in (("recipe", "secret"), ("image-size", 48), ("batch-size", 0), ("crop", "ears"), ("seed", -1)):
        assert_refused(train(ganime, faces_folder, out, f"--{option}", value), option.replace("-", "_"))
    for option, value in (("critic", 0), ("recipe", "classic")):
        assert_refused(train(ganime, faces_folder, out, f"--{option}", value, "--eyes", "broad"), "--critic 1")
    assert hub.requests == []
    assert_refused(train(ganime, faces_folder, out, "--flavor", "t5"), "cpu-basic, t4-small")


@pytest.mark.usefixtures("trains")
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--from", "scratch", "--eyes", "broad"], "--critic 1"),  # on few faces, whose number is not known before
        (["--from", "ada/tiny", "--eyes", "broad"], "--critic 1"),
        (["--from", "ada/tiny", "--image-size", 64], "at least 12"),
        (["--from", "ada/none"], "ada/none"),
        (["--from", "./nowhere"], "--from"),
        (["--threads", -1], "threads"),
    ],
    ids=str,
)
def test_options_that_the_machine_would_refuse_are_refused_before_it_is_rented(
    ganime: Callable[..., Answer],
    hub: HubServer,
    faces_folder: Path,
    tiny_folder: Path,
    tmp_path: Path,
    options: list[object],
    word: str,
) -> None:
    hub.add_model("ada/tiny", tiny_folder)
    more = ("--home", tmp_path / "home", "--yes", *options)
    assert_refused(train(ganime, faces_folder, tmp_path / "mine", *more), word)
    assert (hub.jobs, hub.datasets) == ([], {})


@pytest.mark.usefixtures("trains")
def test_a_model_and_feature_networks_that_fit_are_taken(
    ganime: Callable[..., Answer], hub: HubServer, faces_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    hub.add_model("ada/tiny", tiny_folder)
    more = ("--home", tmp_path / "home", "--yes", "--from", "ada/tiny", "--eyes", "broad", "--critic", 1)
    assert train(ganime, faces_folder, tmp_path / "mine", *more).status == 0
    assert "--from ada/tiny" in hub.jobs[0].wanted["command"][-1]


@pytest.mark.usefixtures("trains")
def test_faces_and_folders_that_no_run_can_use_are_refused_before_a_machine_is_rented(
    ganime: Callable[..., Answer], hub: HubServer, faces_folder: Path, tmp_path: Path
) -> None:
    few, empty, text, file = (tmp_path / name for name in ("few", "empty", "text.zip", "file"))
    few.mkdir()
    for number in range(15):
        shutil.copy(faces_folder / f"{number:03d}.png", few)
    empty.mkdir()
    text.write_text("no zip")
    file.touch()
    out = tmp_path / "mine"
    assert_refused(train(ganime, few, out, "--yes"), "15 usable faces", "at least 16")
    assert_refused(train(ganime, empty, out, "--yes", "--crop", "faces"), "0 usable faces")
    assert_refused(train(ganime, text, out, "--yes"), "text.zip", "damaged")
    assert_refused(train(ganime, Path("hf://datasets/ada/faces"), out, "--yes"), "Download it first")
    assert_refused(train(ganime, faces_folder, file, "--yes"), "is a file")
    assert_refused(train(ganime, faces_folder, faces_folder / "run", "--yes"), "inside")
    assert_refused(train(ganime, few, out, "--crop", "faces"), "--yes")  # a picture may have several faces
    assert (hub.jobs, hub.datasets) == ([], {})


def test_job_that_fails_or_that_nobody_paid_for_is_reported(
    ganime: Callable[..., Answer], hub: HubServer, faces_folder: Path, tmp_path: Path
) -> None:
    def fail(job: Job) -> None:
        job.log, job.stage, job.message = ["Error: too few faces"], "ERROR", "exit code 1"
        job.goes_on.set()

    hub.on_job = fail
    answer = train(ganime, faces_folder, tmp_path / "mine", "--yes")
    assert answer.status == 1
    assert "Error: too few faces" in answer.out
    assert all(fact in answer.error for fact in ("job0", "ERROR", "exit code 1"))
    hub.free_accounts = True
    assert_refused(train(ganime, faces_folder, tmp_path / "mine", "--yes"), "HTTP 402")


@pytest.mark.parametrize("ends", [True, False])
def test_interrupt_asks_whether_the_job_ends_too(
    ganime: Callable[..., Answer],
    hub: HubServer,
    faces_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: bool,
) -> None:
    def interrupt(events: Iterator[object], config: object) -> None:
        assert next(iter(events)) == Notice(0, "begun")
        raise KeyboardInterrupt

    def begin(job: Job) -> None:
        job.log = [event_line(Notice(0, "begun"), tmp_path)]
        job.goes_on.set()

    hub.on_job = begin
    monkeypatch.setattr(hub_job, "show_events", interrupt)
    monkeypatch.setattr(hub_job.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda question: ends)
    answer = train(ganime, faces_folder, tmp_path / "mine", "--yes")
    assert answer.status == 1
    assert hub.jobs[0].stage == ("CANCELED" if ends else "RUNNING")
    assert ("was ended" if ends else f"ganime fetch-run {DATASET}") in answer.error


@pytest.mark.usefixtures("trains")
def test_run_of_a_job_that_was_left_alone_is_fetched_later(
    ganime: Callable[..., Answer], hub: HubServer, small_run: Path, tmp_path: Path
) -> None:
    assert_refused(ganime("fetch-run", DATASET, "--out", tmp_path / "mine"), DATASET)
    assert ganime("store-run", small_run, DATASET).status == 0
    assert ganime("fetch-run", DATASET, "--out", tmp_path / "mine").status == 0
    assert (tmp_path / "mine" / "run.json").read_bytes() == (small_run / "run.json").read_bytes()
