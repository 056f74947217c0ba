"""Uploads before any job: who may, how much in all, on how much disk, and whose they are; by raw HTTP."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import time
from collections import namedtuple
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from anyio import CapacityLimiter
from fastapi.exceptions import RequestValidationError
from gradio import processing_utils, queueing, routes
from gradio.state_holder import SessionState
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app import page as app_main
from app.errors import JobError
from app.faces.studio import Studio
from app.jobs.arrivals import (
    ABANDONED_SECONDS,
    ARRIVAL_SECONDS,
    Upload,
    arrival_bytes,
    arrivals_folder,
    delete_uploads,
    sweep_arrivals,
    uploaded_files,
)
from app.jobs.service import Jobs
from app.jobs.store import ENDED, Job
from app.limits import Limits
from app.server import upload_progress
from app.server.compression import Compression
from app.server.known_routes import KnownRoutes
from app.server.multipart import FormFiles
from app.server.page_head import PageHead
from app.server.page_turns import PageTurns
from app.server.request_limits import MAX_BODY, MAX_VALUES, RequestLimits, refuse_invalid, restrict_gradio
from app.server.security_headers import SecurityHeaders
from app.server.sign_in import SignIn
from app.server.upload_endpoint import UploadEndpoint

UPLOAD = "/gradio_api/upload"
MEGABYTE = 2**20


class SignedIn:
    """What Gradio leaves in the session of a visitor who has signed in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (b"cookie", b"mine") in scope["headers"]:
            userinfo = {"name": "M", "preferred_username": "mi", "profile": "", "picture": ""}
            scope["session"] = {"oauth_info": {"userinfo": userinfo, "expires_at": time.time() + 60}}
        await self.app(scope, receive, send)


@pytest.fixture(autouse=True)
def _default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)


@pytest.fixture(autouse=True)
def _closed_gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply what the page changes in Gradio, and undo it afterwards."""
    for module, name in (
        (processing_utils, "async_ssrf_protected_download"),
        (processing_utils, "async_ssrf_protected_get"),
        (processing_utils, "async_move_files_to_cache"),
        (processing_utils, "check_all_files_in_cache"),
        (SessionState, "_update_value_in_config"),
        (routes, "CustomCORSMiddleware"),
        (queueing, "AsyncQueue"),
        (queueing, "Queue"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    restrict_gradio()


@pytest.fixture
def page(open_jobs: Callable[..., Jobs]) -> Callable[..., httpx.AsyncClient]:
    """page(setting=value, ...): a client of the endpoints alone; one proxy is trusted."""

    def make(**changes: object) -> httpx.AsyncClient:
        jobs = open_jobs("mock", start=False, **({"proxies": 1, "upload_megabytes": 2} | changes))
        return client_of(UploadEndpoint(jobs, "", Limits()))

    return make


def client_of(endpoint: UploadEndpoint) -> httpx.AsyncClient:
    server = Starlette(routes=endpoint.routes(), middleware=[Middleware(SignedIn), Middleware(RequestLimits)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://page")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


async def send(client: httpx.AsyncClient, data: bytes, address: str = "203.0.113.9", **headers: str) -> httpx.Response:
    told = {"X-Forwarded-For": address, **headers}
    return await client.post(UPLOAD, files={"files": ("faces.zip", data)}, headers=told)


def here(home: Path) -> list[Path]:
    return [path for path in (home / "gradio" / "arrivals").rglob("*") if path.is_file()]


async def test_the_same_file_of_two_visitors_lies_twice_and_one_does_not_remove_the_others(
    page: Callable[..., httpx.AsyncClient], tmp_path: Path
) -> None:
    client = page()
    [mine] = (await send(client, b"same")).json()
    [others] = (await send(client, b"same", "203.0.113.7")).json()
    assert mine != others
    delete_uploads([Upload(Path(mine), "faces.zip")])
    assert not Path(mine).exists()
    assert Path(others).read_bytes() == b"same"
    delete_uploads([Upload(Path(others), "faces.zip")])
    assert list((tmp_path / "home" / "gradio" / "arrivals").iterdir()) == []


async def test_what_a_visitor_has_uploaded_and_not_begun_with_counts_together(
    page: Callable[..., httpx.AsyncClient], tmp_path: Path
) -> None:
    client = page(visitor_jobs=1)
    [first] = (await send(client, bytes(2 * MEGABYTE))).json()
    refused = await send(client, bytes(2 * MEGABYTE - 1))
    assert refused.status_code == 413
    assert "2 MB that were uploaded" in refused.text
    assert "GANIME_UPLOAD_MEGABYTES" in refused.text
    assert (await send(client, bytes(MEGABYTE), "203.0.113.7")).status_code == 200
    delete_uploads([Upload(Path(first), "faces.zip")])
    assert (await send(client, bytes(MEGABYTE))).status_code == 200
    large = await send(client, bytes(2 * MEGABYTE + 1), "203.0.113.8")  # with what stands around it, it might do
    assert (large.status_code, "GANIME_UPLOAD_MEGABYTES" in large.text) == (413, True)
    assert len(here(tmp_path / "home")) == 2


async def test_uploads_that_are_still_on_their_way_count_as_well(
    open_jobs: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = open_jobs("mock", start=False, proxies=1, upload_megabytes=2, visitor_jobs=1)
    client, answers = client_of(UploadEndpoint(jobs, "", Limits())), []
    read = FormFiles.read

    async def slow(form: FormFiles, pieces: AsyncIterator[bytes], threads: CapacityLimiter) -> list[Path]:
        if not answers:
            answers.append("asked")
            answers.append(await send(client, bytes(2 * MEGABYTE)))
        return await read(form, pieces, threads)

    monkeypatch.setattr(FormFiles, "read", slow)
    assert (await send(client, bytes(2 * MEGABYTE))).status_code == 200
    assert answers[1].status_code == 413


async def test_many_uploads_of_one_visitor_wait_for_their_turn_and_others_are_taken(
    open_jobs: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits()
    client = client_of(UploadEndpoint(open_jobs("mock", start=False, proxies=1), "", limits))
    read, begun, go_on = FormFiles.read, [], asyncio.Event()

    async def held(form: FormFiles, pieces: AsyncIterator[bytes], threads: CapacityLimiter) -> list[Path]:
        begun.append(form)
        if len(begun) <= limits.uploads.each:
            await go_on.wait()
        return await read(form, pieces, threads)

    monkeypatch.setattr(FormFiles, "read", held)
    many = [asyncio.create_task(send(client, b"some")) for _ in range(limits.uploads.each + 5)]
    while len(begun) < limits.uploads.each:
        await asyncio.sleep(0.01)
    assert (await send(client, b"some", "203.0.113.7")).status_code == 200
    assert len(begun) == limits.uploads.each + 1
    go_on.set()
    assert {(await upload).status_code for upload in many} == {200}
    assert (limits.uploads.serving, limits.uploads.waiting) == (0, {})


async def test_a_full_disk_is_told_with_its_setting_and_nothing_is_left(
    page: Callable[..., httpx.AsyncClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await send(page(disk_gigabytes=1e-6), bytes(MEGABYTE))
    assert (refused.status_code, "GANIME_DISK_GIGABYTES" in refused.text) == (413, True)
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
        refused = await send(page(), bytes(MEGABYTE))
    assert (refused.status_code, "nearly full" in refused.text, "GANIME_HOME" in refused.text) == (413, True, True)

    async def full(form: FormFiles, pieces: AsyncIterator[bytes], threads: CapacityLimiter) -> None:
        (form.folder / "half").write_bytes(b"half a file")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/place")

    monkeypatch.setattr(FormFiles, "read", full)
    failed = await send(page(), b"some")
    assert (failed.status_code, failed.text) == (
        507,
        "The upload could not be stored (No space left on device). Try again later.",
    )
    assert here(tmp_path / "home") == []


async def test_uploads_of_all_visitors_together_fit_on_the_disk_of_the_page(
    page: Callable[..., httpx.AsyncClient],
) -> None:
    client = page(disk_gigabytes=3 / 1024)  # 3 MB
    assert (await send(client, bytes(2 * MEGABYTE))).status_code == 200
    refused = await send(client, bytes(2 * MEGABYTE), "203.0.113.7")
    assert (refused.status_code, "GANIME_DISK_GIGABYTES" in refused.text) == (413, True)


async def test_who_may_not_train_may_not_upload(page: Callable[..., httpx.AsyncClient], tmp_path: Path) -> None:
    client = page(training="login")
    refused = await send(client, b"some")
    assert (refused.status_code, "GANIME_TRAINING=login" in refused.text) == (403, True)
    assert (await send(client, b"some", Cookie="mine")).status_code == 200
    off = await send(client_of(UploadEndpoint(None, "Switched off (GANIME_TRAINING=off).", Limits())), b"some")
    assert (off.status_code, off.text) == (403, "Switched off (GANIME_TRAINING=off).")
    assert len(here(tmp_path / "home")) == 1


async def test_uploads_that_are_none_or_do_not_say_their_length_leave_nothing(
    page: Callable[..., httpx.AsyncClient], tmp_path: Path
) -> None:
    async def parts() -> object:
        yield b"some"

    client = page()
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await client.post(UPLOAD, content=parts(), headers=kind)).status_code == 411  # type: ignore[arg-type]
    for content in (b"", b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\nsome\r\n--x--\r\n"):
        answer = await client.post(UPLOAD, content=content, headers=kind | {"Content-Length": str(len(content))})
        assert answer.status_code == 400, content
    assert (await client.post(UPLOAD, content=b"{}", headers={"Content-Type": "text/json"})).status_code == 400
    assert here(tmp_path / "home") == []


async def test_no_other_request_brings_more_than_the_page_needs(page: Callable[..., httpx.AsyncClient]) -> None:
    client = page()
    large = await client.post("/gradio_api/queue/join", content=bytes(MAX_BODY + 1))
    assert (large.status_code, "6 MB" in large.text) == (413, True)


async def test_a_body_of_very_many_values_is_refused_before_anything_parses_it(
    page: Callable[..., httpx.AsyncClient],
) -> None:
    client = page()
    for value in ("[]", "{}", "1", "[[[[]]]]"):
        body = f'{{"data": [{",".join([value] * (MAX_VALUES + 1))}]}}'
        answer = await client.post("/gradio_api/queue/join", content=body.encode())
        assert (answer.status_code, f"{MAX_VALUES:,} values" in answer.text) == (413, True)
    picture = json.dumps({"data": ["A" * (4 * MEGABYTE * 4 // 3)]}).encode()
    assert (await client.post("/gradio_api/queue/join", content=picture)).status_code == 404  # it reaches the page


async def test_the_page_gets_a_body_as_it_came() -> None:
    async def echo(request: Request) -> Response:
        return Response(await request.body())

    server = Starlette(routes=[Route("/echo", echo, methods=["POST"])], middleware=[Middleware(RequestLimits)])
    client = httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://page")

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 1000

    answer = await client.post("/echo", content=chunks())
    assert answer.content == b"".join([chunk async for chunk in chunks()])


async def test_what_nobody_begins_with_goes_after_a_while(
    page: Callable[..., httpx.AsyncClient], tmp_path: Path, open_jobs: Callable[..., Jobs]
) -> None:
    client, jobs = page(), open_jobs("mock", start=False)
    [old] = (await send(client, b"old")).json()
    [young] = (await send(client, b"young")).json()
    then = time.time() - ARRIVAL_SECONDS - 1
    age(Path(old).parents[1], ARRIVAL_SECONDS + 1)
    sweep_arrivals(jobs.settings)
    assert [path.read_bytes() for path in here(tmp_path / "home")] == [b"young"]
    os.utime(Path(young).parent, (then, then))  # its file was written a moment ago: it may still come in
    os.utime(
        arrivals_folder(jobs.settings) / Path(young).relative_to(arrivals_folder(jobs.settings)).parts[0], (then, then)
    )
    jobs.supervisor.sweep()
    assert len(here(tmp_path / "home")) == 1


def form(*parts: bytes) -> bytes:
    """A multipart body with the boundary x; each part begins with what follows `form-data`."""
    start = b"--x\r\nContent-Disposition: form-data"
    return b"".join(start + part + b"\r\n" for part in parts) + b"--x--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


async def test_an_upload_brings_no_more_than_it_has_announced(
    page: Callable[..., httpx.AsyncClient], tmp_path: Path
) -> None:
    client, body = page(), form(b'; name="files"; filename="a.png"\r\n\r\nsome')
    both = await client.post(
        UPLOAD, content=body, headers=FORM | {"Content-Length": "5", "Transfer-Encoding": "chunked"}
    )
    assert both.status_code == 411
    longer = await client.post(UPLOAD, content=body, headers=FORM | {"Content-Length": "5"})
    assert longer.status_code == 400
    assert (await client.post(UPLOAD, content=body, headers=FORM)).status_code == 200
    assert len(here(tmp_path / "home")) == 1


async def test_fields_that_are_no_files_are_refused(page: Callable[..., httpx.AsyncClient], tmp_path: Path) -> None:
    field = form(b'; name="files"\r\n\r\n' + bytes(100_000))
    for query in ("", "?upload_id=some"):
        answer = await page().post(UPLOAD + query, content=field, headers=FORM)
        assert (answer.status_code, "must be a file" in answer.text) == (400, True)
    assert list((tmp_path / "home" / "gradio" / "arrivals").iterdir()) == []


async def test_the_page_fetches_no_url_for_a_visitor(page: Callable[..., httpx.AsyncClient]) -> None:
    sent = {"path": "https://example.org/big", "meta": {"_type": "gradio.FileData"}}
    assert await processing_utils.async_move_files_to_cache([sent], gr.JSON(), check_in_upload_folder=True) == [sent]
    with pytest.raises(gr.Error, match="not fetch"):
        await processing_utils.async_move_files_to_cache([sent], gr.JSON(), check_in_upload_folder=False)
    with pytest.raises(gr.Error, match="not fetch"):
        await processing_utils.async_ssrf_protected_get("https://example.org/big")
    for path in ("file=https://a.org/b", "file=http%3A//a.org/b", "file%3DHTTP://a.org", "file/https://a.org/b"):
        assert (await page().get(f"/gradio_api/{path}")).status_code == 403, path
        assert (await page().get(f"/{path}")).status_code == 403, path
    assert (await page().get("/gradio_api/file=/tmp/http.png")).status_code == 404


async def test_no_session_keeps_what_a_visitor_has_sent() -> None:
    with gr.Blocks() as blocks:
        box = gr.Textbox("as built")
        box.submit(lambda text: text, box, box)
    [function] = blocks.fns.values()
    state = SessionState(blocks)
    await blocks.process_api(function, ["x" * 1_000], state)
    assert state.config_values[box._id]["props"]["value"] == "as built"


async def test_no_endpoint_but_the_upload_takes_files(page: Callable[..., httpx.AsyncClient]) -> None:
    for path in ("component_server", "component_server/", "run/some"):
        answer = await page().post(f"/gradio_api/{path}", files={"files": ("a", b"some")})
        assert answer.status_code == 415


async def test_small_and_empty_uploads_cost_too(open_jobs: Callable[..., Jobs], tmp_path: Path) -> None:
    jobs = open_jobs("mock", start=False, proxies=1, upload_megabytes=2)
    client = client_of(UploadEndpoint(jobs, "", Limits()))
    assert (await send(client, b"")).status_code == 200
    many = [("files", (f"{number}.png", bytes([number]))) for number in range(200)]
    told = {"X-Forwarded-For": "203.0.113.7"}
    [place] = (await client.post(UPLOAD, files=many, headers=told)).json()
    assert 200 * 8 * 1024 < arrival_bytes(Path(place)) < 204 * 8 * 1024  # with the list of them
    assert [arrival_bytes(other) for other in Path(place).parent.iterdir() if other != Path(place)] == [16 * 1024]


async def test_a_folder_in_many_requests_counts_as_one_upload(open_jobs: Callable[..., Jobs], tmp_path: Path) -> None:
    jobs = open_jobs("mock", start=False, proxies=1, upload_megabytes=2, visitor_jobs=1)
    client, paths = client_of(UploadEndpoint(jobs, "", Limits())), []

    async def part(upload_id: str, number: int, size: int = 0) -> httpx.Response:
        files = [("files", (f"{number}-{name}.png", bytes([name]) + bytes(size))) for name in range(101)]
        return await client.post(f"{UPLOAD}?upload_id={upload_id}", files=files)

    for number in range(2):
        paths += (await part("folder", number)).json()
    assert len(paths) == 2  # a path for each request: 30,000 of them would not fit into the body of an event
    found = [upload for path in paths for upload in uploaded_files(path, "the first", jobs.settings)]
    assert [upload.name for upload in found[:2]] == ["0-0.png", "0-1.png"]
    assert (len(found), all(upload.path.is_file() for upload in found)) == (202, True)
    refused = await part("folder", 2, 16 * 1024)  # fits alone, but not beside the others
    assert (refused.status_code, "2 MB (GANIME_UPLOAD_MEGABYTES)" in refused.text) == (413, True)
    assert here(tmp_path / "home") == []  # nobody takes the rest of a refused upload
    assert (await part("again", 0)).status_code == 200
    [other] = (await part("again", 1)).json()
    delete_uploads(uploaded_files(other, "", jobs.settings))
    assert len(here(tmp_path / "home")) == 102


async def test_single_files_are_limited_by_their_size_and_not_by_their_number(
    open_jobs: Callable[..., Jobs], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False, upload_megabytes=2, visitor_jobs=3)
    client = client_of(UploadEndpoint(jobs, "", Limits()))
    for size in [1] * 40 + [2 * MEGABYTE] * 3:
        assert (await send(client, bytes(size))).status_code == 200
    refused = await send(client, bytes(2 * MEGABYTE))
    assert (refused.status_code, "2 minutes" in refused.text) == (413, True)
    assert len(here(tmp_path / "home")) == 43


@pytest.mark.parametrize("after_restart", [False, True])
async def test_uploads_that_nobody_waits_for_make_room_for_others(
    after_restart: bool, open_jobs: Callable[..., Jobs], tmp_path: Path
) -> None:
    jobs = open_jobs("mock", start=False, proxies=1, upload_megabytes=2, visitor_jobs=1, disk_gigabytes=4.5 / 1024)
    endpoint = UploadEndpoint(jobs, "", Limits())
    [mine] = (await send(client_of(endpoint), bytes(2 * MEGABYTE))).json()
    assert (await send(client_of(endpoint), bytes(MEGABYTE))).status_code == 413  # it was uploaded a moment ago
    endpoint = UploadEndpoint(jobs, "", Limits()) if after_restart else endpoint
    age(Path(mine).parents[1], ABANDONED_SECONDS + 1)
    assert (await send(client_of(endpoint), bytes(2 * MEGABYTE))).status_code == 200
    assert not Path(mine).exists()
    [others] = (await send(client_of(endpoint), bytes(MEGABYTE), "203.0.113.7")).json()
    age(Path(others).parents[1], ABANDONED_SECONDS + 1)  # the disk space of all is short as well
    assert (await send(client_of(endpoint), bytes(2 * MEGABYTE), "203.0.113.8")).status_code == 200
    assert not Path(others).exists()


async def test_gradio_client_is_given_the_reason_of_a_refusal(open_jobs: Callable[..., Jobs], tmp_path: Path) -> None:
    jobs = open_jobs("mock", start=False, upload_megabytes=1)
    sent = {"files": ("faces.zip", bytes(3 * MEGABYTE))}
    agent = {"User-Agent": "gradio_client/2.7.2; hf_hub/2.4.0; python/3.11"}
    answer = await client_of(UploadEndpoint(jobs, "", Limits())).post(UPLOAD, files=sent, headers=agent)
    assert answer.status_code == 200
    with pytest.raises(JobError, match=r"3 MB.*GANIME_UPLOAD_MEGABYTES"):
        uploaded_files(answer.json()[0], "faces.zip", jobs.settings)
    with pytest.raises(JobError, match="refused"):
        uploaded_files(answer.json()[0][:-3] + "abc", "", jobs.settings)
    assert here(tmp_path / "home") == []


def age(place: Path, seconds: float) -> None:
    """Have a request been stored some time ago."""
    then = time.time() - seconds
    for path in (place, *place.rglob("*")):
        os.utime(path, (then, then))


async def test_an_upload_that_stalls_is_given_up_and_its_room_is_free_first(
    open_jobs: Callable[..., Jobs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = UploadEndpoint(open_jobs("mock", start=False), "", Limits(), upload_seconds=0.05)
    announced, remove = [], shutil.rmtree

    async def stalled(form: FormFiles, pieces: AsyncIterator[bytes], threads: CapacityLimiter) -> None:
        announced.append(len(endpoint.announced))
        await asyncio.sleep(60)

    def removing(place: Path, ignore_errors: bool) -> None:
        announced.append(len(endpoint.announced))
        remove(place, ignore_errors=ignore_errors)

    monkeypatch.setattr(FormFiles, "read", stalled)
    monkeypatch.setattr(shutil, "rmtree", removing)
    assert (await send(client_of(endpoint), b"some")).status_code == 408
    assert announced == [1, 0]
    assert list((tmp_path / "home" / "gradio" / "arrivals").iterdir()) == []


async def test_an_upload_that_announces_much_and_sends_nothing_soon_gives_its_room_back(
    open_jobs: Callable[..., Jobs], tmp_path: Path
) -> None:
    endpoint = UploadEndpoint(open_jobs("mock", start=False), "", Limits(), idle_seconds=0.2)

    async def silent() -> AsyncIterator[bytes]:
        yield b"--x\r\n"
        await asyncio.sleep(20)

    headers = FORM | {"Content-Length": str(100 * MEGABYTE)}
    answer = await client_of(endpoint).post(UPLOAD, content=silent(), headers=headers)
    assert (answer.status_code, "0.2 seconds" in answer.text) == (408, True)
    assert endpoint.announced == {}
    assert list((tmp_path / "home" / "gradio" / "arrivals").iterdir()) == []

    async def trickling() -> AsyncIterator[bytes]:
        yield b"--x\r\n"
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    answer = await client_of(endpoint).post(UPLOAD, content=trickling(), headers=headers)
    assert (answer.status_code, endpoint.announced) == (408, {})


async def test_a_name_that_is_too_long_is_said_to_be_that(open_jobs: Callable[..., Jobs]) -> None:
    client = client_of(UploadEndpoint(open_jobs("mock", start=False), "", Limits()))
    answer = await client.post(UPLOAD, files={"files": ("x" * 50_000 + ".png", b"some")})
    assert (answer.status_code, "name" in answer.text, "512" in answer.text) == (400, True, False)


async def test_uploads_delete_old_jobs_only_once_they_have_arrived(open_jobs: Callable[..., Jobs]) -> None:
    jobs = open_jobs("mock", start=False, disk_gigabytes=3 / 1024, upload_megabytes=2)
    with jobs.store.writing() as session:
        session.add(Job(id="0" * 16, key="", visitor="", state=ENDED[0], ended=1.0, bytes=2 * MEGABYTE))
    client, kept = client_of(UploadEndpoint(jobs, "", Limits())), []

    async def announce(length: int, data: bytes) -> int:
        headers = FORM | {"Content-Length": str(length)}
        status = (await client.post(UPLOAD, content=data, headers=headers)).status_code
        jobs.supervisor.sweep()
        with jobs.store.reading() as session:
            kept.append(not session.get_one(Job, "0" * 16).deleted)
        return status

    whole = form(b'; name="files"; filename="a.zip"\r\n\r\n' + bytes(2 * MEGABYTE))
    assert await announce(2 * MEGABYTE, b"--x\r\n\r\n") == 400
    assert await announce(len(whole), whole) == 200
    assert kept == [True, False]


async def test_names_of_uploads_are_short_and_their_progress_can_be_followed(
    open_jobs: Callable[..., Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_progress, "START_SECONDS", 0.0)
    endpoint, long = UploadEndpoint(open_jobs("mock", start=False), "", Limits()), "x" * 65
    client = client_of(endpoint)
    for path in (UPLOAD, f"{UPLOAD}_progress"):
        assert (await client.post(f"{path}?upload_id={long}", files={"files": ("a", b"some")})).status_code == 400
        assert (await client.get(f"{path}?upload_id=a&upload_id={long}")).status_code == 400
    short = FORM | {"Content-Length": "2"}
    assert (await client.get(f"{UPLOAD}_progress?upload_id=mine")).status_code == 404
    assert (await client.post(f"{UPLOAD}?upload_id=mine", content=b"--x\r\n", headers=short)).status_code == 400
    ended = await client.get(f"{UPLOAD}_progress?upload_id=mine")
    assert (ended.status_code, ended.text) == (200, 'data: {"msg": "done"}\n\n')
    begun = endpoint.progress.begin("mine")
    following = endpoint.progress.events(begun)
    first = asyncio.ensure_future(anext(following))
    while not begun.followers:
        await asyncio.sleep(0)
    begun.add("a.png", 2)
    begun.add("a.png", 3)
    assert json.loads((await first).removeprefix("data: ")) == {"orig_name": "a.png", "chunk_size": 5}
    begun.add("a.png", 1)
    begun.end()
    begun.add("a.png", 1)  # too late to be told
    assert not begun.arrived
    assert [event async for event in following] == ['data: {"msg": "done"}\n\n']


async def test_the_page_starts_closed_with_few_sessions_and_no_history(
    steered_studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, Any] = {}
    closing = ("async_ssrf_protected_download", processing_utils), ("async_ssrf_protected_get", processing_utils)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    for name, module in closing:
        monkeypatch.setattr(module, name, "open")
    monkeypatch.setattr(app_main, "Studio", lambda _: steered_studio)
    with gr.Blocks() as page:
        gr.Markdown("some")
    monkeypatch.setattr(app_main, "create_app", lambda studio: page)
    monkeypatch.setattr(page, "launch", lambda **options: started.update(options))
    monkeypatch.setattr(app_main, "limit_connections", lambda files, proxies: started.update(files=files))
    app_main.main()
    assert started["files"] > 0
    assert page._queue.default_concurrency_limit is None  # requests wait at the doors of app/limits.py, by visitor
    assert all(getattr(module, name) != "open" for name, module in closing)
    assert (started["state_session_capacity"], started["run_history"]) == (1000, False)
    middleware = [each.cls for each in started["app_kwargs"]["middleware"]]
    assert middleware == [SecurityHeaders, RequestLimits, KnownRoutes, SignIn, Compression, PageHead, PageTurns]
    assert started["app_kwargs"]["exception_handlers"] == {RequestValidationError: refuse_invalid}
    assert started["blocked_paths"] == [str(arrivals_folder(steered_studio.settings))]


def test_files_that_values_name_are_not_looked_for_and_those_of_results_are_served(tmp_path: Path) -> None:
    named = {"path": "/etc/passwd", "url": None, "meta": {"_type": "gradio.FileData"}}
    component, move = gr.JSON(), processing_utils.async_move_files_to_cache
    sent = {"amounts": [named, {"path": "/nowhere", "meta": 5}]}
    assert asyncio.run(move(sent, component, check_in_upload_folder=True)) == sent
    assert component.temp_files == set()
    processing_utils.check_all_files_in_cache([named | {"path": "x" * 5_000}, {"a": named | {"path": "/etc/passwd"}}])
    (result := Path(component.GRADIO_CACHE) / "face.png").parent.mkdir(parents=True, exist_ok=True)
    result.write_bytes(b"face")
    served = asyncio.run(move(named | {"path": str(result)}, component, postprocess=True))
    assert served["url"].endswith(f"file={result}")


@pytest.mark.parametrize("path", ["x" * 5_000_000, "a\0b", "/etc/passwd", "", 5, ["x"], "/proc/self/fd/0"])
def test_a_path_of_any_form_that_was_not_uploaded_is_refused(path: object, open_jobs: Callable[..., Jobs]) -> None:
    settings = open_jobs("mock", start=False).settings
    for named in (path, f"{arrivals_folder(settings)}/../{path}"):
        with pytest.raises(JobError, match="not uploaded to this page"):
            uploaded_files(named, None, settings)
