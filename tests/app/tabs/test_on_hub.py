"""Training on a visitor's own account on the hub: the price first, with whose token, and what comes back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import JobError
from app.faces.studio import Studio
from app.jobs import limits, speed
from app.jobs import on_hub as hub_work
from app.jobs.service import Jobs
from app.jobs.store import ON_HUB
from app.jobs.supervisor import Supervisor
from app.jobs.uploads import Upload
from app.settings import Settings
from app.tabs import on_hub
from app.tabs.job_view import job_value
from ganime.models.checkpoint import load_checkpoint
from ganime.training.events import Step, event_line
from ganime.training.received_run import MOST_LINES
from ganime.training.run_folder import STATE_FILE
from tests.app.job_helpers import ME, PLAN, change, run_files, submitted, wait_for
from tests.app.tabs.conftest import Functions, by_name
from tests.hub_jobs import Job
from tests.hub_server import HubServer

TOKEN, OTHER_TOKEN, OWNERS_TOKEN, SESSION_TOKEN = "hf_pasted", "hf_other", "hf_owner", "hf_session"
WISHES = {
    "model": "",
    "start": "scratch",
    "images": 0,
    "recipe": "modern",
    "size": 32,
    "name": "Meine Köpfe!",
    "flavor": "t4-small",
    "minutes": 60,
    "dollars": 0.65,
}
STEP = Step(8, 256, 1.5, 0.5, 0.1, -0.1, 30.0, 0.25)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[HubServer]:
    """A hub on which jobs run until a test ends them, and a token of this machine."""
    with HubServer() as server:
        server.accounts = {TOKEN: "ada", SESSION_TOKEN: "ada", OTHER_TOKEN: "bob", OWNERS_TOKEN: "owner"}
        server.become_default(monkeypatch)
        monkeypatch.setenv("HF_TOKEN", OWNERS_TOKEN)
        monkeypatch.setattr("ganime.training.hub_needs.NEEDED", ("ganime/faces",))  # the rest is like it
        monkeypatch.setattr("ganime.training.hub_jobs.LOG_SECONDS", 0.3)
        yield server


def studio_of(settings: Settings) -> Studio:
    studio = Studio(settings)
    studio.work.slice_seconds = 0.0
    return studio


@pytest.fixture
def studio(studio: Studio) -> Studio:
    studio.work.slice_seconds = 0.0
    return studio


def functions_of(studio: Studio) -> Functions:
    assert studio.jobs
    listed = [*on_hub.form_functions(studio, studio.jobs), *on_hub.job_functions(studio, studio.jobs)]
    return by_name(listed)


@pytest.fixture
def functions(studio: Studio) -> Functions:
    return functions_of(studio)


@pytest.fixture
def jobs(studio: Studio) -> Jobs:
    assert studio.jobs
    return studio.jobs


@pytest.fixture
def draft(jobs: Jobs, files: list[Upload]) -> str:
    return jobs.draft(files, ME, 32)


def request(scope: str = "", seconds: float = 86_400, host: str = "10.0.0.1") -> Any:
    """A request of a visitor who has signed in with this scope; with an empty one, of nobody."""
    userinfo = {"name": "ada", "preferred_username": "ada", "profile": "", "picture": ""}
    login = {"access_token": SESSION_TOKEN, "scope": scope, "userinfo": userinfo, "expires_at": time.time() + seconds}
    session = {"oauth_info": login} if scope else {}
    headers = SimpleNamespace(getlist=lambda _: [])
    return SimpleNamespace(client=SimpleNamespace(host=host), headers=headers, scope={"session": session})


def answer_of(functions: Functions, name: str, *values: object, asked: Any = None) -> dict[str, Any]:
    """The last answer of a function that begins long work."""
    answer = functions[name](list(values), asked or request())
    while "work" in answer or "progress" in answer:
        work = answer.get("work") or work
        answer = functions["ask"]([work])
    return answer


def started(functions: Functions, key: str, asked: Any = None, **changes: object) -> dict[str, Any]:
    return answer_of(functions, "begin_on_hub", WISHES | {"draft": key, "token": TOKEN} | changes, asked=asked)


def store(hub: HubServer, job: Job, files: dict[str, bytes], stage: str = "COMPLETED", message: str = "") -> None:
    """Have a job end, and leave these files as its run."""
    dataset = job.wanted["volumes"][0]["source"]
    known = hub.datasets[dataset].files
    hub.commit("dataset", dataset, known | {f"run/{name}": data for name, data in files.items()})
    job.stage, job.message = stage, message


def test_a_job_goes_to_the_hub_and_its_model_comes_back_after_a_restart_of_the_page(
    functions: Functions, studio: Studio, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path
) -> None:
    offer = answer_of(functions, "machines", TOKEN)
    assert (offer["owner"], [each["flavor"] for each in offer["machines"]]) == ("ada", ["cpu-basic", "t4-small"])
    price = offer["machines"][1]["dollars"] * (60 * (1 + offer["pauses"]) + offer["preparing"]) / 60
    assert price == pytest.approx(0.64, abs=0.005)
    assert (hub.jobs, hub.datasets) == ([], {})  # nothing was sent before that

    answer = started(functions, draft, dollars=price)
    assert (answer["key"], answer["url"]) == (draft, f"{hub.endpoint}/jobs/ada/job0")
    [job] = hub.jobs
    dataset = job.wanted["volumes"][0]["source"]
    assert hub.datasets[dataset].private
    assert dataset.startswith("ada/ganime-Meine-K-pfe-")
    assert job.wanted["secrets"] == {"HF_TOKEN": TOKEN}
    assert "--from scratch --image-size" not in job.wanted["command"][-1]
    assert all(words in job.wanted["command"][-1] for words in ("--from scratch", "--minutes 60", "--image-size 32"))

    assert jobs.settings.home.is_dir()
    again = studio_of(jobs.settings)  # the page was started again meanwhile
    assert again.jobs
    functions = functions_of(again)
    status = again.jobs.status(draft)
    assert (status.state, status.name, status.can_resume) == (ON_HUB, "Meine Köpfe!", False)
    assert status.on_hub
    assert (status.on_hub.flavor, status.on_hub.dollars) == ("t4-small", pytest.approx(0.64, abs=0.005))
    job.log = ["installing", event_line(STEP, Path("/tmp/run")), '{"event": "Step", "images": "many"}']
    assert "25% of its training is done: 256 images" in answer_of(functions, "fetch_from_hub", draft, TOKEN)["text"]

    store(hub, job, run_files(tiny_folder))
    assert answer_of(functions, "fetch_from_hub", draft, TOKEN) == {"done": True}
    shown = job_value(again.jobs, draft)
    assert (shown["state"], shown["has_model"], shown["can_resume"]) == ("finished", True, False)
    assert (shown["grids"], shown["plain"]["headline"]) == ([0], "Too early to say.")
    assert again.jobs.checkpoint(draft).revision == load_checkpoint(tiny_folder).revision
    assert again.jobs.archive(draft).is_file()
    assert again.library.load_job(draft).key
    assert not list(again.jobs.folder(draft).path.rglob(STATE_FILE))  # which is a pickle
    assert not list(again.jobs.folder(draft).path.glob("scratch"))
    for call in (lambda: again.jobs.resume(draft, ME, 5), lambda: again.jobs.finish(draft, ME)):
        with pytest.raises(JobError, match="trained elsewhere"):
            call()
    again.jobs.close()


def test_a_token_is_found_nowhere_afterwards(
    functions: Functions,
    jobs: Jobs,
    draft: str,
    hub: HubServer,
    tiny_folder: Path,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    answers = [answer_of(functions, "machines", f" {TOKEN} "), started(functions, draft)]
    store(hub, hub.jobs[0], run_files(tiny_folder))
    answers += [answer_of(functions, "fetch_from_hub", draft, TOKEN), job_value(jobs, draft)]
    assert jobs.status(draft).state == "finished"
    assert TOKEN not in caplog.text + json.dumps(answers) + jobs.log(draft)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]
    assert {found.authorization for found in hub.requests if not found.path.startswith(("/storage", "/cdn"))} == {
        f"Bearer {TOKEN}"
    }


def test_no_other_token_is_used_than_that_of_who_asks(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path
) -> None:
    for answer in (
        answer_of(functions, "machines", ""),
        started(functions, draft, token=" "),
        started(functions, draft, token="", asked=request("contribute-repos")),
        started(functions, draft, token="", asked=request("jobs")),
        started(functions, draft, token="", asked=request("contribute-repos jobs", seconds=-1)),
    ):
        assert "Paste a token" in answer["error"]
    assert hub.requests == []

    assert "key" in started(functions, draft)
    before = len(hub.requests)
    for name in ("fetch_from_hub", "cancel_on_hub"):
        assert "account ada" in answer_of(functions, name, draft, OTHER_TOKEN)["error"]
        assert "HTTP 401" in answer_of(functions, name, draft, "hf_unknown")["error"]
        assert answer_of(functions, name, f"{draft}x", TOKEN)["missing"]
    assert {found.path for found in hub.requests[before:]} == {"/api/whoami-v2"}
    assert hub.jobs[0].stage == "RUNNING"
    assert not [found for found in hub.requests if OWNERS_TOKEN in found.authorization]


def test_a_login_that_may_run_jobs_needs_no_token_but_must_last_as_long_as_the_job(
    functions: Functions, draft: str, hub: HubServer
) -> None:
    scope = "openid profile contribute-repos jobs"
    assert functions["account"]([], request(scope)) == {"signed_in": True}
    assert functions["account"]([], request("contribute-repos")) == {"signed_in": False}
    answer = started(functions, draft, asked=request(scope, seconds=3_600), token="")
    assert "96" in answer["error"]
    assert hub.requests == []
    assert "key" in started(functions, draft, asked=request(scope), token="")
    assert hub.jobs[0].wanted["secrets"] == {"HF_TOKEN": SESSION_TOKEN}


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"token": "hf_unknown"}, "HTTP 401"),
        ({"dollars": 0.5}, "$0.64"),
        ({"flavor": "t5"}, "t4-small"),
        ({"minutes": 1_441}, "Reload"),
        ({"start": "loaded"}, "start"),
        ({"recipe": "other"}, "recipe"),
        ({"token": "hf_a b"}, "space"),
        ({"draft": ""}, "no faces"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, changes: dict[str, object], fact: str
) -> None:
    answer = started(functions, draft, **changes)
    assert fact in answer["error"]
    assert "hf_" not in answer["error"]
    assert (hub.jobs, hub.datasets, jobs.status(draft).state) == ([], {}, "draft")


@pytest.mark.parametrize(("mode", "fact"), [("403", "run jobs"), ("429", "HTTP 429"), ("down", "could not be reached")])
def test_a_hub_that_refuses_or_is_away_is_told_and_the_draft_stays(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, mode: str, fact: str
) -> None:
    hub.mode = mode
    assert fact in started(functions, draft)["error"]
    assert jobs.status(draft).state == "draft"


def test_an_account_without_credits_starts_nothing(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer
) -> None:
    hub.free_accounts = True
    answer = started(functions, draft)
    assert "HTTP 402" in answer["error"]
    assert "credits" in answer["error"]
    assert jobs.status(draft).state == "draft"
    hub.free_accounts = False
    assert "key" in started(functions, draft)  # what has arrived is no obstacle


def test_a_job_whose_faces_were_trained_here_meanwhile_is_ended_on_the_hub(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer
) -> None:
    hub.on_job = lambda job: jobs.submit(draft, PLAN, ME)
    assert "queued" in started(functions, draft)["error"]
    assert hub.jobs[0].stage == "CANCELED"
    assert jobs.status(draft).on_hub is None


def test_a_job_that_can_neither_be_noted_nor_ended_is_named(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer
) -> None:
    def begin(job: Job) -> None:
        jobs.submit(draft, PLAN, ME)
        hub.mode, hub.only = "500", "/cancel"

    hub.on_job = begin
    assert "/jobs/ada/job0" in started(functions, draft)["error"]


def test_a_start_whose_answer_is_lost_is_told(functions: Functions, draft: str, hub: HubServer) -> None:
    hub.mode, hub.only = "500", "/api/jobs/ada"
    assert "begun all the same" in started(functions, draft)["error"]


def test_the_model_to_begin_from_goes_along(
    functions: Functions, studio: Studio, draft: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    monkeypatch.setattr("app.faces.library.EMBEDDED", tiny_folder)
    assert "key" in started(functions, draft, start="embedded")
    script = hub.jobs[0].wanted["command"][-1]
    assert "--from /job/start/tiny" in script
    assert script.count("--from") == 1
    files = hub.datasets[hub.jobs[0].wanted["volumes"][0]["source"]].files
    assert files["start/tiny/model.safetensors"] == (tiny_folder / "model.safetensors").read_bytes()


def test_where_a_login_is_needed_to_train_it_is_needed_for_this(
    settings: Settings, files: list[Upload], hub: HubServer
) -> None:
    studio = studio_of(settings.model_copy(update={"training": "login"}))
    assert studio.jobs
    functions, draft = functions_of(studio), studio.jobs.draft(files, ME, 32)
    assert "signed in" in started(functions, draft)["error"]
    assert "key" in started(functions, draft, asked=request("openid profile"))
    studio.jobs.close()


def test_what_was_trained_on_the_hub_tells_nothing_about_the_speed_of_this_page(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path
) -> None:
    started(functions, draft)
    store(hub, hub.jobs[0], run_files(tiny_folder))
    assert answer_of(functions, "fetch_from_hub", draft, TOKEN) == {"done": True}
    assert speed.images_per_second(jobs, "modern", 32, "") is None
    assert speed.seconds_after(jobs, 32) is None
    assert job_value(jobs, draft)["plain"]["advice"] == "Use it, and start a new job from it."


def test_a_job_that_failed_says_why_and_can_begin_again_here(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer
) -> None:
    started(functions, draft)
    hub.jobs[0].stage, hub.jobs[0].message = "ERROR", "exit code 1"
    assert answer_of(functions, "fetch_from_hub", draft, TOKEN) == {"done": True}
    status = jobs.status(draft)
    assert (status.state, status.has_model, status.can_resume) == ("failed", False, True)
    assert "exit code 1" in status.reason
    assert status.on_hub
    jobs.resume(draft, ME, 5)
    assert jobs.status(draft).on_hub is None


def test_what_a_failed_job_had_saved_comes_here(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path
) -> None:
    started(functions, draft)
    store(hub, hub.jobs[0], run_files(tiny_folder), "ERROR", "out of memory")
    assert answer_of(functions, "fetch_from_hub", draft, TOKEN) == {"done": True}
    assert (jobs.status(draft).state, jobs.status(draft).has_model) == ("failed", True)


def test_a_job_is_ended_when_that_is_wished_and_not_if_it_has_ended(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer
) -> None:
    started(functions, draft)
    hub.jobs[0].stage = "COMPLETED"
    assert "Fetch" in answer_of(functions, "cancel_on_hub", draft, TOKEN)["error"]
    hub.jobs[0].stage = "RUNNING"
    assert answer_of(functions, "cancel_on_hub", draft, TOKEN) == {"done": True}
    assert (hub.jobs[0].stage, jobs.status(draft).state) == ("CANCELED", "interrupted")
    assert "error" in answer_of(functions, "fetch_from_hub", draft, TOKEN)


def hostile(name: str, good: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a run with something wrong."""
    weights = {path: data for path, data in good.items() if path.endswith("model.safetensors")}
    other = json.loads(good["run.json"])
    other["model"]["image_size"] = 64
    return {
        "no model": {path: data for path, data in good.items() if path not in weights},
        "damaged": good | {path: data[:-9] for path, data in weights.items()},
        "pickle": good | dict.fromkeys(weights, b"\x80\x04cos\nsystem\n(S'touch hit'\ntR."),
        "no json": good | {"run.json": b"[" * 10_000},
        "other size": good | {"run.json": json.dumps(other).encode()},
    }[name]


@pytest.mark.parametrize("name", ["no model", "damaged", "pickle", "no json", "other size"])
def test_what_is_no_run_is_refused_and_leaves_nothing(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path, name: str
) -> None:
    started(functions, draft)
    store(hub, hub.jobs[0], hostile(name, run_files(tiny_folder)))
    answer = answer_of(functions, "fetch_from_hub", draft, TOKEN)
    assert "run" in answer["error"]
    assert str(jobs.settings.home) not in answer["error"]
    assert jobs.status(draft).state == ON_HUB
    assert {path.name for path in jobs.folder(draft).path.iterdir()} == {"uploads", "elsewhere.json"}


def test_files_that_belong_to_no_run_are_not_even_asked_for(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path
) -> None:
    started(functions, draft)
    extra = {"../../outside.txt": b"x", "saves/best/../../x": b"x", "saves/best/evil.bin": b"x", "cache.pt": b"x"}
    extra |= {f"previews/{number:012d}.png": b"no picture" for number in range(64, 20_000, 64)}
    lines = ['{"event": "Step", "time": 1, "images": "x"}', '{"event": ["Step"], "images": 1}', "[" * 5_000, "\0"]
    good = run_files(tiny_folder)
    extra["events.jsonl"] = "\n".join(lines).encode() + b"\n" + good["events.jsonl"]
    store(hub, hub.jobs[0], good | extra)
    assert answer_of(functions, "fetch_from_hub", draft, TOKEN) == {"done": True}
    assert not list(jobs.settings.home.rglob("outside.txt"))
    asked = [found.path for found in hub.requests if "/resolve/" in found.path]
    assert not [path for path in asked if path.endswith((".txt", ".bin", ".pt", "/x"))]
    assert len([path for path in asked if "/previews/" in path]) <= 240  # a HEAD and a GET of each
    shown = job_value(jobs, draft)
    assert (shown["grids"], len(shown["losses"]), shown["state"]) == ([0], 1, "finished")


def test_a_run_that_is_larger_than_the_space_that_was_reserved_is_refused(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path
) -> None:
    started(functions, draft)
    store(hub, hub.jobs[0], run_files(tiny_folder))
    hub.claimed_sizes = {"run/saves/best/model.safetensors": 65 * 2**20}  # more than GANIME_MODEL_MEGABYTES
    assert "too large" in answer_of(functions, "fetch_from_hub", draft, TOKEN)["error"]
    names = ("model", "discriminator", "critic", "directions", "clarity", "known")
    hub.claimed_sizes = {f"run/saves/best/{name}.safetensors": 60 * 2**20 for name in names}
    for name in names:
        dataset = hub.datasets[hub.jobs[0].wanted["volumes"][0]["source"]]
        dataset.files[f"run/saves/best/{name}.safetensors"] = b"x"
    assert "fit here" in answer_of(functions, "fetch_from_hub", draft, TOKEN)["error"]
    hub.claimed_sizes = dict.fromkeys(hub.claimed_sizes, 10)  # and one that lies about its size
    assert "damaged" in answer_of(functions, "fetch_from_hub", draft, TOKEN)["error"]
    assert jobs.status(draft).state == ON_HUB
    assert not (jobs.folder(draft).path / "scratch").exists()


def test_a_job_on_the_hub_takes_no_trainer_and_counts_until_it_has_ended_for_long(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, files: list[Upload]
) -> None:
    started(functions, draft)
    change(jobs, draft, created=1.0, queued=1.0)
    supervisor = Supervisor(jobs.store, jobs.settings, jobs.options)
    supervisor.tick()  # which sweeps old drafts
    assert jobs.status(draft).state == ON_HUB
    others = [submitted(jobs, files) for _ in range(jobs.settings.visitor_jobs - 1)]
    assert jobs.status(others[0]).place == 1  # the other waits for nobody
    with pytest.raises(JobError, match="GANIME_VISITOR_JOBS"):
        jobs.draft(files, ME, 32)
    with jobs.store.reading() as session:
        assert limits.promised(session, jobs.settings) > 2 * 200 * 2**20
    change(jobs, draft, ended=time.time() - 3_600 * (jobs.settings.keep_hours + 1))
    jobs.draft(files, ME, 32)
    folder = jobs.folder(draft).path
    for job in (draft, *others):  # else a trainer would start for one of them, and outlive this test
        jobs.delete(job)
    supervisor.tick()
    supervisor.close()
    assert not folder.exists()
    assert hub.jobs[0].stage == "RUNNING"


def test_one_job_is_begun_once(functions: Functions, draft: str, hub: HubServer) -> None:
    second: list[dict[str, Any]] = []
    hub.on_job = lambda job: second.append(started(functions, draft, asked=request(host="10.0.0.2")))
    assert "key" in started(functions, draft)
    assert "already" in second[0]["error"]
    assert len(hub.jobs) == 1


@pytest.mark.parametrize("says_so", [True, False], ids=["stopped", "page closed"])
def test_work_that_its_visitor_has_left_starts_nothing_that_costs(
    functions: Functions,
    studio: Studio,
    jobs: Jobs,
    draft: str,
    hub: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    says_so: bool,
) -> None:
    uploading, left = threading.Event(), threading.Event()

    def upload(*_: object) -> None:
        uploading.set()
        left.wait(30)

    monkeypatch.setattr("ganime.training.hub_jobs.upload", upload)
    answer = functions["begin_on_hub"]([WISHES | {"draft": draft, "token": TOKEN}], request())
    until = time.monotonic() + 20
    while not uploading.is_set():
        assert time.monotonic() < until
        assert "error" not in functions["ask"]([answer["work"]])
    if says_so:
        functions["leave"]([answer["work"]])
    else:
        wait_for(lambda: not studio.work.works)
    left.set()
    wait_for(lambda: not hub_work.busy)
    assert hub.jobs == []
    assert jobs.status(draft).state == "draft"


def test_a_start_during_which_the_page_was_killed_is_not_repeated_without_a_word(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer
) -> None:
    (jobs.folder(draft).path / "starting").touch()
    answer = started(functions, draft)
    assert "named ganime-" in answer["error"]
    assert hub.jobs == []
    assert "key" in started(functions, draft)
    assert not (jobs.folder(draft).path / "starting").exists()


@pytest.mark.parametrize("harm", ["directions", "distance", "lines"])
def test_values_of_a_run_that_nobody_expects_harm_neither_its_page_nor_the_list_of_jobs(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path, harm: str
) -> None:
    good = run_files(tiny_folder)
    [config] = [path for path in good if path.endswith("best/config.json")]
    odd = json.loads(good[config]) | {"training": {"frechet": 10**400}}
    notice = json.dumps({"event": "Notice", "time": 1.0, "images": 0, "text": "x"}).encode() + b"\n"
    files = {
        "directions": {config.replace("config", "directions"): b"[" * 100_000},
        "distance": {config: json.dumps(odd).encode()},
        "lines": {"events.jsonl": notice * 30_000 + notice.replace(b'"x"', b'"\\ud800"')},
    }[harm]
    started(functions, draft)
    store(hub, hub.jobs[0], good | files)
    assert answer_of(functions, "fetch_from_hub", draft, TOKEN) == {"done": True}
    shown = job_value(jobs, draft)
    json.dumps(shown, ensure_ascii=False).encode()
    assert jobs.overview()
    assert len((jobs.folder(draft).run / "events.jsonl").read_bytes().splitlines()) <= MOST_LINES


def test_what_is_trained_here_meanwhile_is_not_replaced(
    functions: Functions, jobs: Jobs, draft: str, hub: HubServer, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(functions, draft)
    store(hub, hub.jobs[0], run_files(tiny_folder))

    def check(run: Path, image_size: int) -> None:
        with jobs.changing(draft) as (_, row):
            row.state = "queued"

    monkeypatch.setattr("app.jobs.on_hub.check_models", check)
    assert "error" in answer_of(functions, "fetch_from_hub", draft, TOKEN)
    assert not jobs.folder(draft).run.exists()
