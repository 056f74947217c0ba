"""The public endpoints through gradio_client, and that nothing else is public."""

from __future__ import annotations

import base64
import functools
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from ganime.drawing.recipe import Recipe
from ganime.drawing.sampling import generate, generate_recipes, interpolate
from ganime.embedded import EMBEDDED
from ganime.images import png_bytes
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.app.job_helpers import paths_below, wait_for
from tests.pictures import nearly_equal

pytestmark = pytest.mark.slow  # starting the page takes seconds


def names(folder: Path) -> set[str]:
    return {path.name for path in paths_below(folder)}


@pytest.fixture(scope="module")
def home(running_home: Path) -> Path:
    return running_home


@pytest.fixture(scope="module")
def client(running: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client(running, verbose=False, download_files=str(tmp_path_factory.mktemp("files")))
    yield client
    client.close()
    http().close()
    http.cache_clear()


@pytest.fixture(scope="module")
def model(steered_folder: Path) -> Checkpoint:
    return load_checkpoint(steered_folder)


@pytest.fixture(scope="module")
def pngs(draw_face: Callable[..., Image.Image]) -> list[bytes]:
    return [png_bytes(np.asarray(draw_face(seed))) for seed in range(16)]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory, pngs: list[bytes]) -> list[dict]:
    path = tmp_path_factory.mktemp("faces") / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, data in enumerate(pngs):
            archive.writestr(f"{number}.png", data)
    return [handle_file(str(path))]


def start(client: Client, files: list[dict], **arguments: object) -> str:
    return client.predict(files=files, start="scratch", image_size=32, **arguments, api_name="/train_start")


def status(client: Client, key: str) -> dict:
    return client.predict(key=key, api_name="/train_status")


@functools.cache
def http() -> httpx.Client:
    """One client for all requests by raw HTTP: to create one takes longer than a request."""
    return httpx.Client()


def call(client: Client, name: str, *arguments: object) -> dict:
    """Call a server function of the page's view of jobs by raw HTTP, in a new session."""
    [view] = [part["id"] for part in client.config["components"] if part["props"].get("elem_id") == "job"]
    body = {"session_hash": "stranger", "component_id": view, "fn_name": name, "data": list(arguments)}
    return http().post(f"{client.src}gradio_api/component_server", json=body).json()


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    endpoints = client.view_api(return_format="dict")
    training = ["result", "start", "status", "stop"]
    assert sorted(endpoints["named_endpoints"]) == [
        "/generate",
        "/interpolate",
        "/project",
        "/steer",
        *(f"/train_{name}" for name in training),
        "/vary",
        "/walk",
    ]
    assert endpoints["unnamed_endpoints"] == {}
    assert all(endpoint["description"] for endpoint in endpoints["named_endpoints"].values())
    start = endpoints["named_endpoints"]["/train_start"]["parameters"]
    assert [entry["parameter_name"] for entry in start] == [
        *("files", "minutes", "name", "start", "recipe", "image_size", "images", "crop")
    ]
    parameters = endpoints["named_endpoints"]["/generate"]["parameters"]
    assert [(entry["parameter_name"], entry["python_type"]["type"]) for entry in parameters] == [
        ("count", "int"), ("seed", "int"), ("truncation", "float"), ("clarity", "None | float"), ("size", "int"),
        ("kind", "str"), ("best_of", "int"),
    ]  # fmt: skip


def test_generate_returns_png_files_with_recipes(client: Client, model: Checkpoint) -> None:
    files = client.predict(count=3, seed=7, truncation=0.8, api_name="/generate")
    expected = generate(model, [7, 8, 9], 0.8)
    assert [Path(file).name for file in files] == ["face-7.png", "face-8.png", "face-9.png"]
    for file, face, seed in zip(files, expected, (7, 8, 9), strict=True):
        with Image.open(file) as image:
            recipe = Recipe.from_json(image.info["ganime"])
            assert (recipe.seed, recipe.truncation, recipe.model) == (seed, 0.8, "tiny")
            assert nearly_equal(np.asarray(image), face)


def test_generate_returns_the_same_faces_as_a_zip_or_as_one_picture(client: Client, model: Checkpoint) -> None:
    expected = generate(model, range(9))
    [packed] = client.predict(count=9, kind="zip", api_name="/generate")
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == [f"face-{seed}.png" for seed in range(9)]
        with archive.open("face-8.png") as file, Image.open(file) as image:
            assert nearly_equal(np.asarray(image), expected[8])
    [picture] = client.predict(count=9, kind="sheet", api_name="/generate")
    with Image.open(picture) as image:
        assert (image.format, image.size) == ("WEBP", (8 * 32, 2 * 32))
        last = np.asarray(image.convert("L"))[32:, :32].astype(int)  # WebP blurs the colours of noise
    assert np.argmin([abs(last - np.asarray(Image.fromarray(face).convert("L"))).mean() for face in expected]) == 8
    with pytest.raises(AppError, match="png, zip, sheet"):
        client.predict(kind="tar", api_name="/generate")


def test_interpolate_takes_an_easing_and_a_kind_of_file(client: Client, model: Checkpoint) -> None:
    file = client.predict(start=3, end=14, frames=5, easing="smooth", kind="png", api_name="/interpolate")
    frames = interpolate(model, [3, 14], 5, easing="smooth")
    with Image.open(file) as walk:
        assert (walk.format, walk.n_frames) == ("PNG", 8)
        walk.seek(1)
        assert nearly_equal(np.asarray(walk.convert("RGB")), frames[1])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("run/nope", {"data": []}, 404),
        ("call/nope", {"data": []}, 404),
        ("queue/join", {"fn_index": 99999, "session_hash": "s", "data": []}, 404),
        ("component_server/", {"component_id": 99999, "fn_name": "draw", "session_hash": "s", "data": []}, 404),
        ("call/generate", {"data": ["\x1b[31m"]}, 422),
        ("call/generate/unknown", None, 404),
        ("call/v2/generate", {"count": "\x1b[31m"}, 200),  # the event itself then says what is wrong
        ("call/generate", {"data": [65, 0, 1.0, None, 0, "png", 1]}, 200),
    ],
)
def test_no_request_leaves_a_traceback_or_a_control_character_in_the_log(
    client: Client, home: Path, path: str, body: dict | None, status: int
) -> None:
    address, log = f"{client.src}gradio_api/{path}", home / "app.log"
    before = log.stat().st_size
    answer = http().get(address) if body is None else http().post(address, json=body)
    assert answer.status_code == status
    if status == 200:
        assert "error" in http().get(f"{address}/{answer.json()['event_id']}").text
    written = log.read_text()[before:]
    assert "Traceback" not in written
    assert not [letter for letter in written if not (letter.isprintable() or letter in "\n\t")]


@pytest.mark.parametrize(
    ("odd", "words"), [({"easing": "bumpy"}, "linear, smooth"), ({"kind": "exe"}, "mp4, webp, gif, png")]
)
def test_interpolate_refuses_an_unknown_easing_or_kind(client: Client, odd: dict[str, str], words: str) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(start=3, end=14, frames=5, api_name="/interpolate", **odd)


def test_interpolate_returns_a_lossless_walk_there_and_back(client: Client, model: Checkpoint) -> None:
    file = client.predict(start=3, end=14, frames=6, api_name="/interpolate")
    frames = interpolate(model, [3, 14], 6)
    with Image.open(file) as walk:
        assert walk.n_frames == 10
        for place, frame in ((0, frames[0]), (5, frames[5]), (9, frames[1])):
            walk.seek(place)
            assert nearly_equal(np.asarray(walk.convert("RGB")), frame)


def test_walk_passes_faces_of_seeds_and_recipes_in_their_order(client: Client, model: Checkpoint) -> None:
    mixed = Recipe(model.name, model.revision, 7, 0.6, toward=20, position=0.5)
    faces = ["3", "14", mixed.to_json()]
    file = client.predict(faces=faces, frames=9, loop=False, kind="png", speed=10.0, api_name="/walk")
    ends = generate_recipes(model, [Recipe("", "", 3), Recipe("", "", 14), mixed])
    with Image.open(file) as walk:
        assert (walk.format, walk.n_frames, walk.info["duration"]) == ("PNG", 9, 100.0)
        for place, face in zip((0, 4, 8), ends, strict=True):
            walk.seek(place)
            assert nearly_equal(np.asarray(walk.convert("RGB")), face)
    file = client.predict(faces=faces, frames=6, easing="smooth", kind="gif", size=256, api_name="/walk")
    with Image.open(file) as walk:
        assert (walk.format, walk.n_frames, walk.size) == ("GIF", 6, (256, 256))


def read_png(file: str) -> tuple[np.ndarray, Recipe]:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")), Recipe.from_json(image.info["ganime"])


def test_vary_and_steer_take_a_seed_or_a_recipe(client: Client, model: Checkpoint) -> None:
    files = client.predict(face="7", strength=0.2, count=3, seed=1, api_name="/vary")
    assert len(files) == 3
    pixels, found = read_png(files[1])
    assert (found.model, found.seed) == ("tiny", 7)
    assert nearly_equal(pixels, generate_recipes(model, [found])[0])
    steered, way = read_png(client.predict(face=found.to_json(), amounts={"smile": 2.5}, api_name="/steer"))
    assert way.vector not in (None, found.vector)
    assert nearly_equal(steered, generate_recipes(model, [way])[0])


def test_project_returns_a_face_and_its_measures(client: Client, model: Checkpoint) -> None:
    picture = base64.b64encode(png_bytes(generate(model, [5])[0])).decode()
    answer = client.predict(picture=picture, api_name="/project")
    assert sorted(answer) == ["distance", "file", "percentile", "seconds", "typical"]
    assert 0 <= answer["percentile"] <= 100


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("vary", {"face": "nobody"}, "no recipe"),
        ("vary", {"face": "9" * 30}, "9" * 30),  # quoted as it was typed
        ("vary", {"face": '{"model":"owner/else","revision":"x","seed":1}'}, "owner/else"),
        ("vary", {"face": "1", "count": 65}, "1 to 64"),
        ("steer", {"face": "1", "amounts": {"nonsense": 1}}, "smile"),
        ("steer", {"face": "1", "amounts": {"smile": "much"}}, "number"),
        ("project", {"picture": "AAAA"}, "picture"),
    ],
)
def test_endpoints_of_one_face_explain_a_refusal(
    client: Client, name: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(**arguments, api_name=f"/{name}")


def test_a_request_of_very_many_values_is_refused(client: Client) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="413"):
        client.predict(faces=["3"] * 200_000, frames=4, api_name="/walk")


@pytest.mark.parametrize("name", ["generate", "take_files", "submit", "show_form"])
def test_no_endpoint_is_called_past_the_queue(client: Client, name: str) -> None:
    answer = http().post(f"{client.src}gradio_api/run/{name}", json={"data": [1, 0, 1.0]})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"faces": ["3"]}, "at least 2"),
        ({"faces": "3"}, "as a list"),
        ({"faces": ["3", "nonsense"]}, "recipe"),
        ({"faces": ["3", {"seed": 4}]}, "as text"),
        ({"faces": ["3"] * 65}, "most 64 faces"),
        ({"faces": ["no recipe"] * 10_000}, "most 64 faces"),  # refused before any of them is read
        ({"faces": ["3", '{"model": "else", "revision": "0", "seed": 1}']}, "Load its model first"),
        ({"frames": 601}, "2 to 600 frames"),
        ({"easing": "bumpy"}, "linear, smooth"),
        ({"kind": "exe"}, "mp4, webp, gif, png"),
        ({"speed": 0}, "speed"),
        ({"size": 300}, "0, 256, 512"),
        ({"frames": 240, "size": 512}, "smaller size"),
    ],
)
def test_walk_explains_a_refusal(client: Client, odd: dict[str, object], words: str) -> None:
    with pytest.raises(AppError, match=words):
        client.predict(**{"faces": ["3", "14"], "frames": 4} | odd, api_name="/walk")


def test_generate_draws_the_clearest_face_of_every_few_seeds_only_where_a_clarity_tells(client: Client) -> None:
    with pytest.raises(AppError, match="No clarity was fitted to tiny"):
        client.predict(count=2, seed=7, best_of=8, api_name="/generate")
    assert Path(client.predict(count=1, seed=7, best_of=1, api_name="/generate")[0]).name == "face-7.png"


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 65}, {"seed": -1}, {"seed": 2**40}, {"truncation": 7.0}, {"best_of": 65}]
)
def test_generate_refuses_values_out_of_range(client: Client, wrong: dict[str, float]) -> None:
    arguments = {"count": 1, "seed": 0, "truncation": 1.0} | wrong
    with pytest.raises(AppError, match=r"number|whole"):
        client.predict(**arguments, api_name="/generate")


def test_a_job_is_started_and_stopped_by_its_key_and_leaves_no_second_copy_of_the_faces(
    client: Client, home: Path, faces: list[dict]
) -> None:
    key = start(client, faces, minutes=5, name="<b>mine</b>")
    wait_for(lambda: status(client, key)["share"])
    found = status(client, key)
    assert (found["state"], found["name"], found["faces"], found["image_size"]) == ("running", "<b>mine</b>", 16, 32)
    assert (home / "jobs" / found["id"] / "run" / "arguments.json").exists()  # which the stand-in writes
    assert "faces.zip" not in names(home / "gradio" / "arrivals")
    for wrong in ("", key[:-4] + "aaaa", "../..", key.partition(".")[0]):
        for name in ("status", "stop", "result"):
            with pytest.raises(AppError, match="no such job"):
                client.predict(key=wrong, api_name=f"/train_{name}")
    with pytest.raises(AppError, match="no model yet"):
        client.predict(key=key, api_name="/train_result")
    assert client.predict(key=key, api_name="/train_stop")["state"] in ("stopping", "finished")
    wait_for(lambda: status(client, key)["state"] == "finished")
    save_checkpoint(load_checkpoint(EMBEDDED), home / "jobs" / found["id"] / "run" / "saves" / "best")
    with zipfile.ZipFile(client.predict(key=key, api_name="/train_result")) as archive:
        archive.extractall(home / "result")
    assert load_checkpoint(home / "result" / "ganime-model").revision == load_checkpoint(EMBEDDED).revision
    assert "ganime-model.zip" in names(home / "gradio")
    http().get(client.src, params={"job": key}).raise_for_status()  # as somebody may write a link by mistake
    assert call(client, "delete", key) == {"done": None}
    wait_for(lambda: "ganime-model.zip" not in names(home / "gradio"))
    assert not (home / "jobs" / found["id"]).exists()
    written = (home / "app.log").read_text() + "".join(map(str, paths_below(home)))
    assert key.partition(".")[2] not in written


def test_limits_of_the_page_hold_for_clients_too(client: Client, home: Path, faces: list[dict]) -> None:
    jobs = set(home.glob("jobs/*"))
    for arguments, words in (
        ({"minutes": 10_000}, "GANIME_JOB_MINUTES"),
        ({"recipe": "other"}, "recipe must be one of"),
        ({"files": faces * 3}, "GANIME_UPLOAD_FACES"),
        ({"files": []}, "no picture among the files"),
    ):
        with pytest.raises(AppError, match=words):
            start(client, **{"files": faces} | arguments)
    wait_for(lambda: set(home.glob("jobs/*")) == jobs)
    keys = [start(client, faces), start(client, faces)]
    forger = Client(client.src, verbose=False, headers={"X-Forwarded-For": "203.0.113.9"})  # no proxy is trusted
    for same in (client, forger):
        with pytest.raises(AppError, match="GANIME_VISITOR_JOBS"):
            start(same, faces)
    forger.close()
    for key in keys:
        call(client, "delete", key)


def test_numbers_may_be_texts_and_pictures_data_urls(client: Client, model: Checkpoint) -> None:
    files = client.predict(count="2", seed="7", truncation="0.8", size="0", api_name="/generate")
    assert [Path(file).name for file in files] == ["face-7.png", "face-8.png"]
    film = client.predict(faces=[3, 14.0], frames="4", loop="false", kind="GIF", speed="10", api_name="/walk")
    with Image.open(film) as walk:
        assert (walk.format, walk.n_frames) == ("GIF", 4)
    client.predict(face=7, amounts={"smile": "2"}, api_name="/steer")
    picture = "data:image/png;base64," + base64.b64encode(png_bytes(generate(model, [5])[0])).decode()
    assert client.predict(picture=picture, api_name="/project")["percentile"] >= 0


def test_pictures_one_by_one_train_and_what_is_not_used_is_named(
    client: Client, home: Path, pngs: list[bytes], tmp_path: Path
) -> None:
    others = {"a.rar": b"Rar!\x1a\x07\0", "notes.txt": b"notes", "cut.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"}
    for name, data in {**{f"{number}": data for number, data in enumerate(pngs * 2)}, **others}.items():
        (tmp_path / name).write_bytes(data)
    key = start(client, [handle_file(str(path)) for path in sorted(tmp_path.iterdir())])  # a request for each
    found = status(client, key)
    assert found["faces"] == 16
    told = dict(line.split(": ", 1) for line in found["skipped"])
    assert told["a.rar"] == "a RAR archive: unpack it"
    assert told["notes.txt"] == "a text file"
    assert "damaged" in told["cut.heic"]
    assert sum("duplicate" in reason for reason in told.values()) == 16
    assert not [path for path in paths_below(home / "gradio" / "arrivals") if path.is_file()]
    call(client, "delete", key)


def test_a_client_is_told_why_its_faces_are_refused_and_no_job_is_left(
    client: Client, home: Path, pngs: list[bytes], tmp_path: Path
) -> None:
    before = set(home.glob("jobs/*"))
    (tmp_path / "large.zip").write_bytes(bytes(4 * 2**20))
    few = tmp_path / "my few.png"
    few.write_bytes(pngs[0])
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("a.png", pngs[0])
    data = (tmp_path / "locked.zip").read_bytes()
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.index(mark) + place
        data = data[:at] + b"\1" + data[at + 1 :]
    (tmp_path / "locked.zip").write_bytes(data)
    for name, words in (
        ("large.zip", "GANIME_UPLOAD_MEGABYTES"),
        ("locked.zip", r"0 usable faces found in locked\.zip.*a\.png: encrypted"),
        ("my few.png", "1 usable face found in your pictures"),
    ):
        files = [handle_file(str(tmp_path / name)), *([handle_file(str(few))] if name == "large.zip" else [])]
        with pytest.raises(AppError, match=words) as caught:
            start(client, files)
        assert "00000000" not in str(caught.value)
    assert not [path for path in paths_below(home / "gradio" / "arrivals") if path.is_file()]
    wait_for(lambda: set(home.glob("jobs/*")) <= before)


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "nul\0", "{home}/gradio/../jobs-1.sqlite", 7, ""])
def test_only_files_that_were_uploaded_are_taken(client: Client, home: Path, path: object) -> None:
    named = path.format(home=home) if isinstance(path, str) else path
    with pytest.raises(AppError, match="handle_file"):
        start(client, [{"path": named, "orig_name": "faces.zip"}])
    assert (home / "jobs-1.sqlite").is_file()


DEEP = ["../../up.png", "..\\..\\up.png", "/etc/passwd.png"]
RAW_NAMES = [*DEEP, "顔😀.png", "あ" * 83 + "12.png", "<script>.png", "a\tb.png"]


def test_files_sent_by_raw_http_are_stored_inside_their_folder_whatever_their_names(
    client: Client, home: Path, pngs: list[bytes]
) -> None:
    names = [*RAW_NAMES, *(f"{number}.png" for number in range(len(RAW_NAMES), 16))]
    before = {path for path in paths_below(home.parent) if home not in path.parents}
    sent = [("files", (name, face)) for name, face in zip(names, pngs, strict=True)]
    paths = http().post(f"{client.src}gradio_api/upload", files=sent).raise_for_status().json()
    assert all((home / "gradio").resolve() in Path(path).resolve().parents for path in paths)
    key = start(client, [{"path": path, "orig_name": name} for path, name in zip(paths, names, strict=True)])
    folder = home / "jobs" / key.partition(".")[0] / "uploads"
    kept = sorted(path.name for path in (folder / "pictures").iterdir())
    assert kept == [f"{number:08d}-upload.png" for number in range(16)]
    assert list(json.loads((folder / "names.json").read_text()).values()) == names
    assert {path for path in paths_below(home.parent) if home not in path.parents} == before
    call(client, "delete", key)


def test_bombs_and_broken_zips_sent_by_raw_http_are_refused_and_deleted(
    client: Client, home: Path, faces: list[dict]
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3_000):
            archive.writestr(f"{number}.txt", b"")
    refused = ((b"PK\x03\x04", "damaged or incomplete"), (packed.getvalue(), "GANIME_UPLOAD_FACES"))
    for data, words in refused:
        sent = {"files": ("<b>.zip", data)}
        [path] = http().post(f"{client.src}gradio_api/upload", files=sent).raise_for_status().json()
        with pytest.raises(AppError, match=words) as caught:
            start(client, [{"path": path, "orig_name": "<b>.zip"}])
        assert str(home) not in str(caught.value)
        assert not Path(path).exists()
    for path, status in (("upload", 413), ("process_recording", 415)):
        large = {"files": ("large.zip", bytes(4 * 2**20))}
        assert http().post(f"{client.src}gradio_api/{path}", files=large).status_code == status
    assert http().post(f"{client.src}gradio_api/queue/join", content=bytes(17 * 2**20)).status_code == 413
    shut = {"runs": 404, "run-history/buckets": 404, "deep_link?session_hash=a": 404, "file=https://a.invalid/b": 403}
    for path, status in shut.items():
        assert http().get(f"{client.src}gradio_api/{path}").status_code == status, path
    with pytest.raises(AppError, match="fetches nothing"):
        start(client, [handle_file("https://a.invalid/faces.zip")])
    assert not [path for path in paths_below(home / "gradio" / "arrivals") if path.is_file()]


def test_server_functions_of_a_job_need_its_full_key(client: Client, faces: list[dict]) -> None:
    key = start(client, faces)
    identity, _, secret = key.partition(".")
    stolen = [f"{identity}.", identity, f"{identity}.{secret[:-1]}", f"{'0' * 16}.{secret}", f"../{key}", f"{key} "]
    for wrong in [*stolen, "", None, 7, ["a"], {"key": key}]:
        for name in ("status", "log", "save_now", "stop", "delete", "nearest", "archive_file"):
            assert "error" in call(client, name, wrong), (name, wrong)
        assert "error" in call(client, "grid", wrong, 0)
        assert call(client, "mine", [wrong]).get("jobs", []) == []
    assert call(client, "status", key)["state"] in ("queued", "running")
    assert secret not in http().get(f"{client.src}config").text
    call(client, "delete", key)


def test_an_expected_failure_leaves_no_traceback_in_the_log(client: Client, home: Path) -> None:
    before = len((home / "app.log").read_text())
    with pytest.raises(AppError, match="1 to 64"):
        client.predict(count=0, api_name="/generate")
    assert "Traceback" not in (home / "app.log").read_text()[before:]
