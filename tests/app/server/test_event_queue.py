"""What nobody fetches from Gradio's queue is forgotten, and one visitor has only so much of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import gradio as gr
import httpx
import pytest
from gradio import queueing
from gradio.routes import App
from gradio.server_messages import ProcessCompletedMessage, ProgressMessage

from app.server.event_queue import MAX_EVENTS, MAX_MESSAGES, EventQueue, Messages

pytestmark = pytest.mark.anyio
JOIN, DATA, CANCEL = (f"/gradio_api/{path}" for path in ("queue/join", "queue/data", "cancel"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def let_go() -> asyncio.Event:
    """What events of negative length wait for."""
    return asyncio.Event()


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch, let_go: asyncio.Event) -> AsyncIterator[App]:
    """Gradio's app with a function that takes a text and how long it lasts."""

    async def repeated(text: str, seconds: float) -> str:
        await (let_go.wait() if seconds < 0 else asyncio.sleep(seconds))
        return text * 1_000

    for name, replacement in (("Queue", EventQueue), ("AsyncQueue", Messages)):
        monkeypatch.setattr(queueing, name, replacement)
    with gr.Blocks() as blocks:
        inputs = [gr.Textbox(), gr.Number()]
        inputs[0].submit(repeated, inputs, inputs[0], api_name="repeated")
    blocks.queue(default_concurrency_limit=None)
    app = App.create_app(blocks)
    blocks.run_startup_events()
    yield app
    blocks._queue.close()
    await asyncio.sleep(0.05)


@pytest.fixture
def queue(app: App) -> EventQueue:
    queue = app.get_blocks()._queue
    assert isinstance(queue, EventQueue)
    return queue


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a minute takes a moment."""
    monkeypatch.setattr(EventQueue, "unread_seconds", 0.3)
    monkeypatch.setattr(EventQueue, "quiet_seconds", 0.05)


def client(app: App, address: str = "192.0.2.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://page")


async def join(client: httpx.AsyncClient, session: str, seconds: float = 0.0) -> httpx.Response:
    body = {"fn_index": 0, "session_hash": session, "data": ["x", seconds]}
    return await client.post(JOIN, json=body)


async def until(state: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def is_empty(queue: EventQueue) -> bool:
    tables = (queue.pending_messages_per_session, queue.pending_event_ids_session, queue.event_ids_to_events)
    return not any((*tables, queue.sessions, queue.visitors, queue.event_analytics))


async def test_gradios_own_queue_has_the_tables_that_are_replaced() -> None:
    queue = vars(queueing.Queue(True, 1, 1.0, None, gr.Blocks()))
    for name in ("pending_messages_per_session", "pending_event_ids_session", "event_ids_to_events", "event_analytics"):
        assert queue[name] == {}, name
    assert isinstance(queue["ANALYTICS_MAX_EVENTS"], int)


@pytest.mark.usefixtures("soon")
async def test_what_nobody_fetches_is_forgotten(app: App, queue: EventQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MAX_EVENTS):
        assert (await join(client(app), f"nobody-{number % 5}")).status_code == 200
    assert not is_empty(queue)
    await until(lambda: is_empty(queue))
    assert queue.sweeping is None
    monkeypatch.setattr(EventQueue, "unread_seconds", 60.0)
    assert (await join(client(app), "nobody-1")).status_code == 200
    assert "x" * 1_000 in (await client(app).get(DATA, params={"session_hash": "nobody-1"})).text


@pytest.mark.usefixtures("soon")
async def test_a_result_waits_while_its_session_has_others_under_way(
    app: App, queue: EventQueue, let_go: asyncio.Event
) -> None:
    await join(client(app), "slow", -1)
    await join(client(app), "slow")
    await until(lambda: len(queue.event_ids_to_events) == 1)
    await asyncio.sleep(2 * queue.unread_seconds)
    let_go.set()
    assert len(queue.pending_event_ids_session["slow"]) == 2
    told = (await client(app).get(DATA, params={"session_hash": "slow"})).text
    assert (told.count("process_completed"), told.count("close_stream")) == (2, 1)
    await until(lambda: is_empty(queue))


async def test_a_visitor_has_so_many_events_until_their_results_are_fetched(app: App, queue: EventQueue) -> None:
    many, other = client(app), client(app, "192.0.2.2")
    joined = await asyncio.gather(*(join(many, f"session-{number % 2}") for number in range(2 * MAX_EVENTS)))
    assert [answer.status_code for answer in joined].count(200) == MAX_EVENTS
    refused = next(answer for answer in joined if answer.status_code == 429)
    assert f"{MAX_EVENTS} requests of yours" in refused.json()["detail"]
    await until(lambda: not queue.event_ids_to_events)  # all are done, and none is fetched
    assert (await join(many, "session-0")).status_code == 429
    assert (await join(other, "another")).status_code == 200
    await many.get(DATA, params={"session_hash": "session-0"})
    assert (await join(many, "session-0")).status_code == 200


async def test_an_event_is_known_until_its_result_is_fetched(app: App, queue: EventQueue) -> None:
    named = await client(app).post("/gradio_api/call/repeated", json={"data": ["x", 0.05]})
    event = named.json()["event_id"]
    assert queue.has(event)
    await until(lambda: event not in queue.event_ids_to_events)
    assert queue.has(event)
    assert "x" * 1_000 in (await client(app).get(f"/gradio_api/call/repeated/{event}")).text
    assert not queue.has(event)
    assert not queue.has("invented")


async def test_an_event_that_is_cancelled_again_and_again_ends_once(app: App, queue: EventQueue) -> None:
    event = (await join(client(app), "s")).json()["event_id"]
    await until(lambda: not queue.event_ids_to_events)
    waiting = queue.pending_messages_per_session["s"]
    before = waiting.qsize()
    for _ in range(50):
        await client(app).post(CANCEL, json={"session_hash": "s", "fn_index": 0, "event_id": event})
    assert waiting.qsize() == before


async def test_progress_that_nobody_reads_does_not_add_up_and_the_result_still_arrives() -> None:
    messages = Messages()
    for _ in range(2 * MAX_MESSAGES):
        messages.put_nowait(ProgressMessage(event_id="a"))
    messages.put_nowait(ProcessCompletedMessage(event_id="a", output={}, success=True))
    assert messages.qsize() == MAX_MESSAGES + 1
    for _ in range(MAX_MESSAGES):
        await messages.get()
    assert isinstance(await messages.get(), ProcessCompletedMessage)
    assert messages.ended == set()


async def test_a_page_at_rest_seldom_looks_for_events(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(EventQueue, "__len__", lambda queue: looks.append(queue) or 0)
    await asyncio.sleep(0.5)
    assert 0 < len(looks) <= 50


async def test_nothing_is_recorded_or_summed_up_that_could_fail(
    app: App, queue: EventQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing.Queue, "_get_df", lambda records: pytest.fail("summed up"))
    body = json.dumps({"fn_index": 0, "session_hash": "\ud800", "data": ["x", 0]})
    for _ in range(3):
        assert (await client(app).post(JOIN, content=body, headers={"Content-Type": "application/json"})).is_success
    await until(lambda: not queue.event_ids_to_events)
    assert queue.event_analytics == {}


async def test_more_sessions_than_gradio_keeps_take_nothing_from_a_slow_event(app: App, queue: EventQueue) -> None:
    slow = asyncio.create_task(join(client(app), "slow", 0.3))
    await slow
    for number in range(2_500):
        queue.pending_messages_per_session[f"invented-{number}"] = Messages()
    told = (await client(app).get(DATA, params={"session_hash": "slow"})).text
    assert "x" * 1_000 in told
