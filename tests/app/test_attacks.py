"""Known attacks on pages that Gradio serves, tried against the running page, and those on its own doors."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app.server.event_queue import MAX_EVENTS
from app.server.known_names import DRAWING

pytestmark = pytest.mark.slow  # starting the page takes seconds
SECRET = "the owner's secret"
OUTSIDE = ("/etc/passwd", "/proc/self/environ", "/etc/../etc/passwd")
ROUTES = ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/file/")


@pytest.fixture(scope="module")
def http(running: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running) as client:
        yield client


@pytest.fixture(scope="module")
def secret(running_home: Path) -> Path:
    """A file in the page's home, beside the folder that Gradio serves from."""
    path = running_home / "secret.txt"
    path.write_text(SECRET)
    return path


def raw_get(address: str, target: str) -> bytes:
    """The answer to a request for exactly this target, which a client would tidy up."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode("latin-1"))
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def assert_gives_nothing_away(answer: bytes) -> None:
    status = int(answer.split(maxsplit=2)[1])
    assert status in (400, 403, 404), answer[:200]
    assert b"root:" not in answer
    assert SECRET.encode() not in answer
    assert b"PATH=" not in answer


def test_cve_2023_51449_no_file_outside_is_served_by_its_path(running: str, secret: Path) -> None:
    for path in (*OUTSIDE, str(secret), f"{secret.parent}/gradio/../secret.txt"):
        for route in ROUTES:
            for target in (path, path.replace("/", "%2f"), path.replace("..", "%2e%2e")):
                assert_gives_nothing_away(raw_get(running, f"{route}{target}"))


def test_cve_2024_1561_no_method_of_a_component_can_be_called(http: httpx.Client, secret: Path) -> None:
    components = http.get("/config").json()["components"]
    methods = ("move_resource_to_block_cache", "async_move_resource_to_block_cache", "preprocess", "postprocess")
    methods += ("__class__", "__init__", "get_config", "as_example", "example_payload", "__reduce__")
    for component in components[:: max(1, len(components) // 8)]:
        for method in methods:
            body = {"component_id": component["id"], "session_hash": "x", "fn_name": method, "data": str(secret)}
            answer = http.post("/gradio_api/component_server", json=body)
            assert answer.status_code == 404
            assert SECRET not in answer.text


def test_cve_2024_47164_dots_lead_to_no_file_beside_those_that_are_served(running: str, secret: Path) -> None:
    served = secret.parent / "gradio"
    ways = (
        "/../secret.txt",
        "/./../secret.txt",
        "/x/../../secret.txt",
        "/arrivals/../../secret.txt",
        "/..//secret.txt",
    )
    for way in ways:
        for route in ROUTES:
            for target in (way, way.replace("..", "%2e%2e"), way.replace("/", "%2f"), way.replace("/", "\\")):
                assert_gives_nothing_away(raw_get(running, f"{route}{served}{target}"))


def test_cve_2024_47867_no_tunnel_is_opened_and_no_program_fetched(http: httpx.Client, running_home: Path) -> None:
    assert http.get("/").status_code == 200
    log = (running_home / "app.log").read_text()  # the page was started with GRADIO_SHARE=true
    assert "gradio.live" not in log
    assert "frpc" not in log


def test_cve_2026_28414_no_route_takes_an_absolute_path(running: str, secret: Path) -> None:
    routes = ("/static/", "/assets/", "/svelte/", "/gradio_api/static/", "/custom_component/x/component/")
    paths = (*OUTSIDE, str(secret), "\\windows\\win.ini", "/windows/win.ini", "C:/windows/win.ini", "..%5c..%5cx")
    for route in routes:
        for path in paths:
            for target in (path, path.replace("/", "%2f"), f"/{path}"):
                assert_gives_nothing_away(raw_get(running, f"{route}{target}"))


INTERNAL = ("http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/", "https://evil.hf.space/x")


def test_cve_2026_28416_the_page_fetches_no_address_for_a_visitor(running: str, http: httpx.Client) -> None:
    for address in INTERNAL:
        for route in ("/gradio_api/proxy=", "/proxy=", "/gradio_api/proxy/"):
            for target in (address, address.replace("://", ":/"), address.replace(":", "%3a")):
                assert_gives_nothing_away(raw_get(running, f"{route}{target}"))
        file = {"path": address, "url": address, "orig_name": "x.png", "meta": {"_type": "gradio.FileData"}}
        started = http.post("/gradio_api/call/v2/train_start", json={"files": [file]})
        assert started.status_code == 200
        ended = http.get(f"/gradio_api/call/v2/train_start/{started.json()['event_id']}").text
        assert "event: error" in ended


def test_gradio_13608_no_address_leads_away_from_the_page(running: str) -> None:
    own = urlsplit(running).netloc
    addresses = [f"{route}https://evil.example/x" for route in ROUTES]
    addresses += ["//evil.example/x", "//evil.example/%2e%2e/", "/%2f%2fevil.example/", "/\\evil.example/"]
    for way in ("logout", "login/callback", "login/huggingface"):
        addresses += [f"/{way}?_target_url={start}evil.example/" for start in ("//", "////", "https://", "\\\\")]
    for target in addresses:
        head = raw_get(running, target).partition(b"\r\n\r\n")[0].decode("latin-1")
        led = [line.split(":", 1)[1].strip() for line in head.split("\r\n") if line.lower().startswith("location:")]
        assert all(urlsplit(address).netloc in ("", own) and not address.startswith("//") for address in led), target


def test_ghsa_j36p_7w88_g82j_no_event_makes_a_path_of_what_it_is_sent(http: httpx.Client, secret: Path) -> None:
    """Gradio's file explorer joined to its folder whatever parts of a path a client sent."""
    config = http.get("/config").json()
    kinds = {part["id"]: part["type"] for part in config["components"]}
    assert "fileexplorer" not in kinds.values()
    events = [
        each for each in config["dependencies"] if {"file", "uploadbutton"} & {kinds[id] for id in each["inputs"]}
    ]
    assert len(events) == 2  # the files and the folder of the Train tab
    for event in events:
        for path in (["..", "secret.txt"], ["..", "..", "etc", "passwd"], [str(secret)], ["/etc", "passwd"]):
            sent = [[path] if kinds[each] == "file" else path for each in event["inputs"][:1]]
            body = {
                "fn_index": event["id"],
                "session_hash": "segments",
                "data": [*sent, "", "start", "embedded", 64, "none"],
            }
            assert http.post("/gradio_api/queue/join", json=body).status_code == 200
            with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "segments"}) as stream:
                told = next(line for line in stream.iter_lines() if "process_completed" in line)
            assert SECRET not in told
            assert "root:" not in told
            assert "sheet" not in told


def test_what_was_uploaded_is_served_to_nobody(running: str, http: httpx.Client) -> None:
    sent = {"files": ("film.mp4", SECRET.encode())}
    [path] = http.post("/gradio_api/upload", files=sent).raise_for_status().json()
    assert Path(path).read_text() == SECRET
    folder, name = path.rsplit("/", 1)
    ways = (path, path.upper(), f"{folder}/./{name}", f"{folder}/x/../{name}", path.replace("arrivals", "%61rrivals"))
    for way in ways:
        for route in ROUTES:
            assert_gives_nothing_away(raw_get(running, f"{route}{way}"))
    shutil.rmtree(folder)


def test_a_name_of_another_site_that_leads_here_is_refused(http: httpx.Client) -> None:
    assert http.get("/config", headers={"Host": "evil.example"}).status_code == 421
    assert http.get("/", headers={"X-Forwarded-Host": "[::1"}).status_code == 400
    assert http.post("/ganime/draw", json={}, headers={"Origin": "http://[::1"}).status_code == 403


def test_a_page_of_another_site_can_draw_and_nothing_else(http: httpx.Client) -> None:
    foreign = {"Origin": "http://localhost:1", "Sec-Fetch-Site": "cross-site"}  # which Gradio answers at this address
    functions = http.get("/config").json()["dependencies"]
    assert len(functions) > 20
    for each in functions:
        if each["api_name"] not in DRAWING:
            body = {"fn_index": each["id"], "session_hash": "foreign", "data": [None] * len(each["inputs"])}
            assert http.post("/gradio_api/queue/join", json=body, headers=foreign).status_code == 403
            call = http.post(f"/gradio_api/call/{each['api_name']}", json={"data": body["data"]}, headers=foreign)
            assert call.status_code == 403
    started = http.post("/gradio_api/call/v2/generate", json={"count": 1}, headers=foreign)
    ended = http.get(f"/gradio_api/call/v2/generate/{started.json()['event_id']}", headers=foreign)
    assert "event: complete" in ended.text
    assert ended.headers["access-control-allow-origin"] == foreign["Origin"]
    assert "access-control-allow-credentials" not in ended.headers


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/?page=zz", 400),
        ("/gradio_api/info?page=zz", 400),
        ("/gradio_api/heartbeat/%00", 400),
        ("/gradio_api/custom_component/x%0A2026-01-01%20CRITICAL%20forged%1b%5B31m/client/a/y", 400),
        (f"/gradio_api/custom_component/x{'%0A' * 600}/client/a/y", 400),
        ("/gradio_api/custom_component/forged/client/a/y", 404),
        ("/gradio_api/dev/reload", 404),
        ("/gradio_api/openapi.json", 404),
        ("/logout", 404),
    ],
)
def test_no_address_leaves_an_error_or_a_line_in_the_log(
    running: str, running_home: Path, target: str, status: int
) -> None:
    log = running_home / "app.log"
    before = log.stat().st_size
    assert int(raw_get(running, target).split(maxsplit=2)[1]) == status
    assert log.read_text()[before:] == ""


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ('"session_hash": ""', 400),
        ('"session_hash": "\\ud800"', 400),
        ('"fn_index": 1e999', 400),
        ('"fn_index": true', 400),
        ('"event_id": NaN', 422),
        ('"event_id": [NaN, "forged"]', 422),
        ('"trigger_id": -Infinity', 422),
        ('"trigger_id": "\\ud800"', 422),
        ('"session_hash": ["\\ud800"]', 422),
        ('"data": Infinity', 422),
    ],
)
def test_no_field_of_an_event_causes_an_error(http: httpx.Client, running_home: Path, field: str, status: int) -> None:
    log = running_home / "app.log"
    before = log.stat().st_size
    number = next(each["id"] for each in http.get("/config").json()["dependencies"] if each["api_name"] == "generate")
    body = f'{{"fn_index": {number}, "session_hash": "s", "data": [1, 7, 1.0, null, 0, "png"], {field}}}'
    answer = http.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.text.isprintable(), "forged" in answer.text) == (status, True, False)
    assert log.read_text()[before:] == ""


@pytest.mark.parametrize("path", ["queue/join", "run/predict", "call/generate", "component_server", "cancel", "reset"])
def test_no_body_causes_an_error_and_none_is_repeated(http: httpx.Client, running_home: Path, path: str) -> None:
    log = running_home / "app.log"
    before = log.stat().st_size
    for body in (
        "NaN",
        '"\\ud800"',
        '[-Infinity, "forged"]',
        '{"data": {"forged": [NaN]}}',
        '{"event_id": NaN',
        "forged",
    ):
        answer = http.post(f"/gradio_api/{path}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 404, 422)
        assert (answer.text.isprintable(), "forged" in answer.text) == (True, False)
    assert log.read_text()[before:] == ""


def test_nobody_fills_the_memory_with_results_that_are_not_fetched(http: httpx.Client) -> None:
    number = next(each["id"] for each in http.get("/config").json()["dependencies"] if each["api_name"] == "resume")
    body = {"fn_index": number, "session_hash": "nobody-reads", "data": []}
    answers = [http.post("/gradio_api/queue/join", json=body) for _ in range(MAX_EVENTS + 6)]
    assert [answer.status_code for answer in answers] == [200] * MAX_EVENTS + [429] * 6
    assert "not fetched" in answers[-1].json()["detail"]
    told = http.get("/gradio_api/queue/data", params={"session_hash": "nobody-reads"}).text  # all there is
    assert told.count("process_completed") == MAX_EVENTS


def test_many_invented_sessions_take_nothing_from_a_visitor(http: httpx.Client) -> None:
    """What the page knows of a visitor comes with each request, from the visitor's browser."""
    config = http.get("/config").json()
    assert [part["type"] for part in config["components"] if part["type"] == "state"] == []
