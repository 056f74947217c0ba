"""Publishing a job's model: with which token, what is asked for, and what the form learns of the model."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import JobError
from app.faces import background
from app.faces.background import in_background
from app.faces.studio import Studio
from app.jobs.store import FINISHED
from app.jobs.uploads import Upload
from app.tabs.long_work import work_functions
from app.tabs.publish import publish_functions
from ganime.models.checkpoint import Checkpoint, save_checkpoint
from tests.app.job_helpers import PLAN, change, submitted
from tests.app.tabs.conftest import Functions, by_name
from tests.hub_server import HubServer

TOKEN, SESSION_TOKEN = "hf_pasted", "hf_session"
WISHES = {
    "repo_id": "ada/mine",
    "private": False,
    "provenance": "drawn by a program",
    "licence": "mit",
    "copies_confirmed": False,
    "token": "",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> Iterator[HubServer]:
    with HubServer() as server:
        server.accounts = {TOKEN: "ada", SESSION_TOKEN: "ada"}
        server.become_default(monkeypatch)
        yield server


@pytest.fixture
def studio(studio: Studio) -> Studio:
    studio.work.slice_seconds = 0.0
    return studio


@pytest.fixture
def functions(studio: Studio) -> Functions:
    assert studio.jobs
    return by_name([*publish_functions(studio, studio.jobs), *work_functions(studio)])


@pytest.fixture
def key(studio: Studio, files: list[Upload], tiny_folder: Path) -> str:
    """The key of an ended job with a model."""
    jobs = studio.jobs
    assert jobs
    key = submitted(jobs, files, plan=replace(PLAN, name="Meine Köpfe!"))
    shutil.copytree(tiny_folder, jobs.folder(key).run / "saves" / "best")
    change(jobs, key, state=FINISHED)
    return key


def request(scope: str = "", name: str = "ada", seconds: float = 60, host: str = "10.0.0.1") -> Any:
    """A request of a visitor who has signed in with this scope; with an empty one, of nobody."""
    userinfo = {"name": name, "preferred_username": name, "profile": "", "picture": ""}
    login = {"access_token": SESSION_TOKEN, "scope": scope, "userinfo": userinfo, "expires_at": time.time() + seconds}
    session = {"oauth_info": login} if scope else {}
    client = SimpleNamespace(host=host)
    return SimpleNamespace(client=client, headers=SimpleNamespace(getlist=lambda _: []), scope={"session": session})


def published(functions: Functions, key: str, asked: Any = None, **changes: Any) -> dict[str, Any]:
    """The last answer to a wish to publish."""
    answer = functions["publish"]([key, WISHES | changes], asked or request())
    while "work" in answer or "progress" in answer:
        work = answer.get("work") or work
        answer = functions["ask"]([work])
    return answer


def test_a_pasted_token_publishes_and_leaves_no_trace(
    functions: Functions, key: str, hub: HubServer, studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    assert published(functions, key, token=f" {TOKEN} ") == {"url": f"{hub.endpoint}/ada/mine"}
    assert b"> drawn by a program" in hub.models["ada/mine"].files["README.md"]
    assert TOKEN not in caplog.text
    kept = [path for path in studio.settings.home.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


def test_a_login_with_the_right_scope_publishes_without_a_token(functions: Functions, key: str, hub: HubServer) -> None:
    assert "url" in published(functions, key, request("openid profile contribute-repos"))
    assert {found.authorization for found in hub.requests if found.method == "POST"} == {f"Bearer {SESSION_TOKEN}"}


@pytest.mark.parametrize("asked", [request(), request("openid profile"), request("contribute-repos", seconds=-1)])
def test_without_a_token_and_a_login_that_may_write_nothing_is_sent(
    functions: Functions, key: str, hub: HubServer, asked: Any
) -> None:
    assert "token" in published(functions, key, asked)["error"]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"repo_id": "mine"}, "owner/name"),
        ({"provenance": " "}, "came from"),
        ({"licence": ""}, "licence"),
        ({"repo_id": "bob/mine"}, "bob/mine"),
        ({"token": "hf_unknown"}, "HTTP 401"),
        ({"licence": 7}, "Reload"),
    ],
)
def test_what_is_missing_or_refused_is_said(
    functions: Functions, key: str, hub: HubServer, changes: dict[str, Any], fact: str
) -> None:
    answer = published(functions, key, **({"token": TOKEN} | changes))
    assert fact in answer["error"]
    assert "hf_" not in answer["error"]
    assert hub.models == {}


def test_a_job_that_has_not_ended_and_a_wrong_key_publish_nothing(
    functions: Functions, key: str, hub: HubServer, studio: Studio
) -> None:
    assert studio.jobs
    change(studio.jobs, key, state="queued")
    assert "ended" in published(functions, key, token=TOKEN)["error"]
    assert published(functions, f"{key}x", token=TOKEN)["missing"]
    assert hub.requests == []


def test_the_form_learns_who_publishes_and_that_a_model_copies(
    functions: Functions, key: str, studio: Studio, tiny: Checkpoint
) -> None:
    known = functions["publisher"]([key], request("contribute-repos"))
    assert (known["signed_in"], known["copies"], known["suggestion"]) == (True, False, "ada/meine-k-pfe")
    assert SESSION_TOKEN not in str(known)
    assert studio.jobs
    folder = studio.jobs.folder(key).run / "saves" / "best"
    save_checkpoint(replace(tiny, training={"verdict": "copying"}), folder)
    known = functions["publisher"]([key], request())
    assert (known["signed_in"], known["copies"], known["suggestion"]) == (False, True, "your-name/meine-k-pfe")
    assert "nearly" not in str(known)


def test_a_model_that_copies_is_published_only_when_that_is_confirmed(
    functions: Functions, key: str, hub: HubServer, studio: Studio, tiny: Checkpoint
) -> None:
    assert studio.jobs
    folder = studio.jobs.folder(key).run / "saves" / "best"
    save_checkpoint(replace(tiny, training={"verdict": "copying"}), folder)
    assert "copies" in published(functions, key, token=TOKEN)["error"]
    assert hub.requests == []
    assert "url" in published(functions, key, token=TOKEN, copies_confirmed=True)


def test_visitors_who_are_signed_in_are_told_apart_by_their_names(
    functions: Functions, studio: Studio, key: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio.work, "settle_seconds", 0.0)
    monkeypatch.setattr(studio.work, "abandoned_seconds", 60.0)

    def begun(name: str, host: str) -> dict[str, Any]:
        return functions["publish"]([key, WISHES], request("contribute-repos", name, host=host))

    assert "work" in begun("ada", "10.0.0.1")
    assert "already" in begun("ada", "10.0.0.2")["error"]
    assert "work" in begun("bob", "10.0.0.1")


def test_one_visitor_publishes_one_model_at_a_time_and_leaves_places_for_others() -> None:
    goes_on, begun = threading.Event(), []

    def work() -> Iterator[str]:
        yield "uploading"
        goes_on.wait(20)

    for visitor in ("a", "b", "a"):  # who leaves after the first answer
        steps = in_background("publication", visitor, work)
        with pytest.raises(JobError) if visitor in begun else nullcontext():
            assert next(steps) in (None, "uploading")
            begun.append(visitor)
        steps.close()  # type: ignore[attr-defined]
    goes_on.set()
    until = time.monotonic() + 20
    while background.running and time.monotonic() < until:
        time.sleep(0.01)
    assert (begun, background.running) == (["a", "b"], set())
