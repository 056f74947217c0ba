"""What the page answers to requests that once stopped it: starts it on this machine, sends them, and prints a table.

`python -m benchmarks.attacks [NAME ...]`

Each attack comes from addresses of its own, as behind a proxy; meanwhile another visitor asks for four faces every
quarter of a second. `others` is the longest that this visitor waited, in seconds; `MB` is the page's memory before,
at most and after; `log` is what the page's log grew by, in kB. Only this machine is visited. The whole takes about ten
minutes, and faces of 49 million pixels need 1 GB of memory here.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.faces.library import EMBEDDED_KEY
from benchmarks.load import MODEL
from benchmarks.many_connections import announced_and_not_sent, heartbeats, lookups, pages, very_many_heartbeats
from benchmarks.target import API, MEGABYTE, Answers, Others, Target, call, in_words, opened, run_event, told
from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate
from ganime.embedded import EMBEDDED
from ganime.images import png_bytes

# The page, begun with the limit of open files that many systems have.
FEW_FILES = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
runpy.run_module("app", run_name="__main__")
"""
PRIVATE = "secretowner/private-model"
HEADINGS = ("attack", "before", "answer", "s", "others", "MB", "log")


def body_of(value: str, megabytes: float) -> str:
    """A JSON list of many equal values."""
    return f"[{','.join([value] * int(megabytes * MEGABYTE / (len(value) + 1)))}]"


def values_in_a_body(target: Target) -> Answers:
    """Bodies of 15 MB, one alone and four at once."""
    generate_body = f'{{"fn_index":{target.endpoint("generate")},"session_hash":"s","data":[%s,0,1.0]}}'
    dock = target.component("dock")
    function_body = f'{{"component_id":{dock},"fn_name":"face_file","session_hash":"s","data":%s}}'
    sent = [
        (f"{API}/queue/join", generate_body % body_of("[]", 15)),
        (f"{API}/component_server", function_body % body_of("{}", 15)),
        (f"{API}/component_server", function_body % body_of("1", 15)),
    ]
    sent += [sent[0]] * 4
    return sent_at_once(target, sent)


def most_that_is_taken(target: Target) -> Answers:
    """The most that a body may have: 20,000 values, or 6 MB of text; 16 visitors at once."""
    dock = target.component("dock")
    function_body = f'{{"component_id":{dock},"fn_name":"face_file","session_hash":"s","data":%s}}'
    many = function_body % f"[{','.join(['[]'] * 9_990)}]"
    large = function_body % json.dumps(["x" * (6 * MEGABYTE - 1_000)])
    return sent_at_once(target, [(f"{API}/component_server", body) for body in [many, large] * 16])


def sent_at_once(target: Target, sent: list[tuple[str, str]]) -> Answers:
    """Send bodies, each from another visitor."""

    def send(number: int) -> str:
        path, body = sent[number]
        with target.client(number) as client:
            return told(client.post(path, content=body, headers={"Content-Type": "application/json"}))

    with ThreadPoolExecutor(len(sent)) as pool:
        return Counter(pool.map(send, range(len(sent))))


def past_the_queue(target: Target) -> Answers:
    """40 clients call /run/generate for 20 s."""
    until = time.monotonic() + 20

    def send(number: int) -> Answers:
        answers: Answers = Counter()
        with target.client(number) as client:
            while time.monotonic() < until:
                answers[told(client.post(f"{API}/run/generate", json={"data": [64, number, 1.0]}))] += 1
        return answers

    with ThreadPoolExecutor(40) as pool:
        return sum(pool.map(send, range(40)), Counter())


def private_models(target: Target) -> Answers:
    """Draw with a model that lies in the cache of what the owner's token fetched."""
    answers: Answers = Counter()
    with target.client(1) as client:
        for key in (PRIVATE, f"{PRIVATE}@main", f"{PRIVATE}@{'a' * 40}", f"https://huggingface.co/{PRIVATE}"):
            face = Recipe("private-model", MODEL.revision, 1).to_json()
            answers[told(client.post("/ganime/draw", json={"key": key, "recipes": [face]}))] += 1
            answers[told(call(client, target, "known_model", key))] += 1
            answers[told(call(client, target, "hub_model", key))] += 1
    return answers


def results_on_the_disk(target: Target) -> Answers:
    """Large films from 8 visitors for 60 s."""
    until = time.monotonic() + 60

    def send(number: int) -> Answers:
        answers: Answers = Counter()
        with target.client(number) as client:
            while time.monotonic() < until:
                data = [["1", "2"], 240, True, "linear", "png", 20.0, 256]
                answers[in_words(run_event(client, target.endpoint("walk"), data, f"s{number}"))] += 1
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = sum(pool.map(send, range(8)), Counter())
    size = sum(path.stat().st_size for path in (target.home / "gradio").rglob("*") if path.is_file())
    answers[f"{size / MEGABYTE:.0f} MB on the disk, where 512 are the limit"] += 1
    return answers


def invented_sessions(target: Target) -> Answers:
    """One visitor gives faces, another invents 2,200 sessions, then the first one trains."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number, face in enumerate(generate(MODEL, range(32))):
            file.writestr(f"{number}.png", png_bytes(face))
    with target.client(1) as visitor, target.client(2) as stranger:
        [path] = visitor.post(f"{API}/upload", files={"files": ("faces.zip", archive.getvalue())}).json()
        uploaded = [{"path": path, "orig_name": "faces.zip", "meta": {"_type": "gradio.FileData"}}]
        fields = [uploaded, "", EMBEDDED_KEY, EMBEDDED_KEY, 64, "none"]
        draft = run_event(visitor, target.event("faces-files", "upload"), fields, "a")["data"][0]
        with ThreadPoolExecutor(8) as pool:
            names = [f"invented{number}" for number in range(2_200)]
            list(pool.map(lambda name: call(stranger, target, "leave", "", session=name), names))
        plan = [draft, EMBEDDED_KEY, EMBEDDED_KEY, 1, 320, "modern", 64, "mine"]
        output = run_event(visitor, target.event("start-training", "click"), plan, "a")["data"]
    return Counter([str(output[1].get("error", "the job is queued"))])


def held_places(target: Target) -> Answers:
    """Two addresses begin films and ask for them every 2.4 s; how long a third waits for its own."""
    faces = [Recipe(MODEL.name, MODEL.revision, seed).to_json() for seed in (1, 2)]
    film = (EMBEDDED_KEY, faces, 600, True, "linear", 20.0, ".png", 256)
    ended = threading.Event()

    def hold(number: int) -> None:
        with target.client(number) as client:
            key = call(client, target, "film", *film).json()["work"]
            while not ended.wait(2.4):
                answer = call(client, target, "ask", key).json()
                if "error" in answer or "data" in answer:
                    return

    def wait() -> str:
        begun = time.monotonic()
        with target.client(9) as client:
            key = call(client, target, "film", EMBEDDED_KEY, faces, 10, *film[3:]).json()["work"]
            while time.monotonic() < begun + 120:
                answer = call(client, target, "ask", key).json()
                if "data" in answer:
                    return f"the film of the third visitor was there after {time.monotonic() - begun:.0f} s"
                time.sleep(0.3)
        return "none in two minutes"

    with ThreadPoolExecutor(2) as pool:
        holders = [pool.submit(hold, number) for number in (1, 2)]
        time.sleep(3)
        answer = wait()
        ended.set()
        [holder.result() for holder in holders]
    return Counter([answer])


def long_arguments(target: Target) -> Answers:
    """Texts of 15 and of 5.9 MB as numbers."""
    answers: Answers = Counter()
    with target.client(1) as client:
        for megabytes in (15.0, 5.9):
            text = "9" * int(megabytes * MEGABYTE)
            body = {
                "fn_index": target.endpoint("interpolate"),
                "session_hash": "l",
                "data": [0, 1, text, "linear", "webp"],
            }
            answer = client.post(f"{API}/queue/join", json=body)
            answers[told(answer) if answer.status_code != 200 else "200"] += 1
            text = "\x00\u202e" + text[:MEGABYTE]
            output = run_event(client, target.endpoint("generate"), [text, 0, 1.0, None, 0, "png"], f"l{megabytes}")
            answers[f"{len(json.dumps(output))} bytes: {in_words(output)}"] += 1
    return answers


def large_pictures(target: Target) -> Answers:
    """A ZIP of 40 PNGs of 7000 x 7000."""
    picture, archive = Image.linear_gradient("L").resize((7_000, 7_000)).convert("RGB"), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(40):
            picture.putpixel((number, number), (255, 0, number))  # each is another picture
            data = io.BytesIO()
            picture.save(data, "PNG", compress_level=1)
            file.writestr(f"{number}.png", data.getvalue())
    with target.client(1, timeout=600) as client:
        [path] = client.post(f"{API}/upload", files={"files": ("faces.zip", archive.getvalue())}).json()
        uploaded = [{"path": path, "orig_name": "faces.zip", "meta": {"_type": "gradio.FileData"}}]
        fields = [uploaded, "", EMBEDDED_KEY, EMBEDDED_KEY, 64, "none"]
        output = run_event(client, target.event("faces-files", "upload"), fields, "large")
    shown = output["data"][1] if "data" in output else output
    return Counter([str(shown.get("error") or f"{shown.get('count', 'some')} faces")[:90]])


def wrong_words(target: Target) -> Answers:
    """A file with a name of 5,000 characters."""
    with target.client(1) as client:
        return Counter([told(client.post(f"{API}/upload", files={"files": ("x" * 5_000 + ".png", b"some")}))])


def what_is_not_there(target: Target) -> Answers:
    """Functions and components that the page does not have."""
    with target.client(1) as client:
        answers = [client.post(f"{API}/run/nope", json={"data": []})]
        answers += [
            client.post(f"{API}/{way}", json={"fn_index": 99_999, "data": [], "session_hash": "n"})
            for way in ("run/predict", "queue/join")
        ]
        body = {"component_id": 99_999, "fn_name": "draw", "session_hash": "n", "data": []}
        answers.append(client.post(f"{API}/component_server", json=body))
    return Counter(map(told, answers))


def headers(target: Target) -> Answers:
    """The headers of the page, and a server function called by a page of another site."""
    wanted = ("X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy")
    with target.client(1) as client:
        page = client.get("/")
        body = {"component_id": target.component("dock"), "fn_name": "start_model", "session_hash": "h", "data": []}
        kind = {"Content-Type": "text/plain", "Origin": "https://evil.example"}
        foreign = client.post(f"{API}/component_server", content=json.dumps(body), headers=kind)
    present = [name for name in wanted if name in page.headers]
    return Counter([f"{len(present)} of 3 headers", f"another site: {told(foreign)}"])


@dataclass(frozen=True)
class Attack:
    """A request or many. before: what the page did before it had its limits."""

    name: str
    send: Callable[[Target], Answers]
    before: str


ATTACKS = (
    Attack("values in JSON bodies, 15 MB", values_in_a_body, "200 after 18.5 s, others 18.2 s, 8,285 MB"),
    Attack("the most that is taken, 32 at once", most_that_is_taken, ""),
    Attack("past the queue, 40 clients", past_the_queue, "drawn; others 9.6 s, 1,592 MB"),
    Attack("a private model by its name", private_models, "drawn, and its weights were downloaded"),
    Attack("results, 8 clients for 60 s", results_on_the_disk, "2.1 to 3.4 MB/s without a limit"),
    Attack("2,200 invented sessions", invented_sessions, '"no faces to train on yet"'),
    Attack("holders of both places", held_places, "27 of 28 requests refused"),
    Attack("1,100 heartbeats, 1,024 files", heartbeats, "nobody was answered, log 37,600 kB"),
    Attack("the same from three addresses", very_many_heartbeats, ""),
    Attack("long arguments", long_arguments, "15.7 MB answered, log 30,000 kB"),
    Attack("40 pictures of 49 MP", large_pictures, "31.9 s, others 0.08 s, 2,001 MB"),
    Attack("42 uploads announced", announced_and_not_sent, "15 minutes"),
    Attack("a long file name", wrong_words, "413 A file has more than 512 MB"),
    Attack("what is not there", what_is_not_there, "500"),
    Attack("a lookup, 200 connections", lookups, "200, others 22.9 s"),
    Attack("the page, 200 connections", pages, "200, others 5.1 s"),
    Attack("headers, other sites", headers, "none; drawn"),
)


def tried(attack: Attack, target: Target) -> list[str]:
    """Send an attack; the row of the table."""
    before, log = target.memory, target.log_bytes
    others = Others(target)
    others.start()
    time.sleep(1)
    begun = time.monotonic()
    answers = attack.send(target)
    seconds = time.monotonic() - begun
    others.ended.set()
    others.join()
    time.sleep(2)
    words = "; ".join(f"{count} x {answer}" if count > 1 else answer for answer, count in answers.most_common(6))
    waited = f"{others.longest:.2f}" + (f", {others.failed} failed" if others.failed else "")
    memory = f"{before:.0f} / {others.most:.0f} / {target.memory:.0f}"
    grown = f"{(target.log_bytes - log) / 1000:.1f}"
    return [attack.name, attack.before, words.replace("|", "/"), f"{seconds:.1f}", waited, memory, grown]


def lay_private_model(home: Path) -> None:
    """A model in the cache of what the owner's token fetched."""
    place = home / "hub" / f"models--{PRIVATE.replace('/', '--')}"
    shutil.copytree(EMBEDDED, place / "snapshots" / ("a" * 40))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("a" * 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = ", ".join(attack.send.__name__ for attack in ATTACKS)
    parser.add_argument("names", nargs="*", help=f"of {known}; all without any")
    names = parser.parse_args().names
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        lay_private_model(home)
        with opened(home, ("-c", FEW_FILES), HF_ENDPOINT="http://127.0.0.1:1") as target:
            print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
            for attack in ATTACKS:
                if not names or attack.send.__name__ in names:
                    print(f"| {' | '.join(tried(attack, target))} |", flush=True)


if __name__ == "__main__":
    main()
