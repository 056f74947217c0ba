"""The page's head: nothing of Gradio's name is left, a link describes what it names, and faces come before scripts."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import gradio
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.faces.library import EMBEDDED_KEY, START_KEY
from app.faces.studio import Studio
from app.server import icons
from app.server.first_faces import MOST_LARGE, MOST_SMALL, first_faces
from app.server.page_head import PageHead

TEMPLATE = (Path(gradio.__file__).parent / "templates/frontend/index.html").read_text(encoding="utf-8")
FACE = json.dumps({"model": "tiny", "revision": "abc", "seed": 7})

WALK = json.dumps({"model": "tiny", "revision": "abc", "faces": [{"seed": 1}, {"seed": 2}]})
MARKUP = json.dumps({"model": '"><img>', "revision": "", "seed": 1})


class Tags(HTMLParser):
    """The tags of a page in order, each with its attributes, and its title."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.title, self.inside = "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "title":
            self.title += data

    def meta(self, name: str) -> str:
        [content] = [
            attributes["content"]
            for tag, attributes in self.tags
            if tag == "meta" and name in (attributes.get("property"), attributes.get("name"))
        ]
        return content


async def page(request: Request) -> Response:
    return HTMLResponse(TEMPLATE)


async def other(request: Request) -> Response:
    return PlainTextResponse("faces")


def client_of(first: str = "") -> TestClient:
    routes = [Route("/", page), Route("/other", page), Route("/text", other)]
    return TestClient(PageHead(Starlette(routes=routes), "<script>ours</script>", first))


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of("<div id=first-faces></div>")


def test_nothing_of_gradios_name_and_pictures_is_left_in_the_head(client: TestClient) -> None:
    answer = client.get("/")
    head = answer.text.partition("</head>")[0]
    tags = Tags(head)
    for tag, attributes in tags.tags:
        shown = " ".join(value for name, value in attributes.items() if name != "src")
        assert "gradio" not in shown.lower() or tag == "script"
        assert "{url}" not in shown
        assert "githubusercontent" not in shown
    assert tags.title == tags.meta("og:title") == tags.meta("twitter:title") == "Ganime: anime faces"
    assert tags.meta("description") == tags.meta("og:description")
    assert tags.meta("twitter:card") == "summary_large_image"
    assert "twitter:creator" not in head
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.text.count("gradio_config") == TEMPLATE.count("gradio_config")


def test_icons_and_theme_colours_are_ours(client: TestClient) -> None:
    tags = Tags(client.get("/").text).tags
    links = {attributes.get("rel"): attributes.get("href") for tag, attributes in tags if tag == "link"}
    assert links["icon"] == "favicon.ico"
    assert links["manifest"] == "manifest.json"
    colours = [attributes["media"] for tag, attributes in tags if attributes.get("name") == "theme-color"]
    assert [name in media for name, media in zip(("light", "dark"), colours, strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("kind", "value", "title"),
    [
        ("face", FACE, "Anime face, seed\N{NO-BREAK SPACE}7 · Ganime"),
        ("tray", f"[{FACE},{FACE}]", "2 anime faces · Ganime"),
        (
            "walk",
            '{"model":"tiny","revision":"abc","faces":[{"seed":1},{"seed":2}]}',
            "A film through 2 faces · Ganime",
        ),
    ],
)
def test_a_link_has_a_preview_of_what_it_names(client: TestClient, kind: str, value: str, title: str) -> None:
    tags = Tags(client.get("/", params={kind: value, "tab": "x"}).text)
    assert tags.title == tags.meta("og:title") == title
    for name in ("og:url", "og:image", "twitter:image"):
        address = urlsplit(tags.meta(name))
        assert (address.scheme, address.netloc) == ("http", "testserver")
        assert parse_qs(address.query) == {kind: [value]}
    assert urlsplit(tags.meta("og:image")).path == "/ganime/card.jpg"


@pytest.mark.parametrize(
    "hostile",
    ['"><script>alert(1)</script>', "{" * 5000, '{"model":"\\"><img>","revision":"","seed":1}', "\x00\x1b[2J"],
)
def test_a_hostile_link_adds_nothing_to_the_page(client: TestClient, hostile: str) -> None:
    plain, tags = (Tags(client_of().get("/", params=query).text) for query in ({}, {"face": hostile}))
    assert [tag for tag, _ in tags.tags] == [tag for tag, _ in plain.tags]


def test_addresses_are_those_behind_a_proxy(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"X-Forwarded-Host": "faces.example", "X-Forwarded-Proto": "https"}
    assert Tags(client.get("/", headers=headers).text).meta("og:image") == "https://faces.example/ganime/card.jpg"
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/below")
    assert Tags(client.get("/", headers=headers).text).meta("og:url") == "https://faces.example/below/"
    monkeypatch.setenv("GRADIO_ROOT_PATH", "https://own.example/faces/")
    assert Tags(client.get("/").text).meta("og:image") == "https://own.example/faces/ganime/card.jpg"


def test_a_forged_host_cannot_leave_its_attribute(client: TestClient) -> None:
    tags = Tags(client.get("/", headers={"X-Forwarded-Host": 'x"><script>'}).text)
    assert [tag for tag, _ in tags.tags] == [tag for tag, _ in Tags(client.get("/").text).tags]


def test_other_answers_stay_as_they_are(client: TestClient) -> None:
    assert client.get("/other").text == TEMPLATE
    assert client.get("/text").text == "faces"
    assert client.get("/none").status_code == 404
    assert client.head("/").status_code == 200


def test_first_faces_wait_for_no_style_sheet_and_no_script(client: TestClient) -> None:
    html = client.get("/").text
    assert html.index("<body") < html.index("first-faces") < html.index("<gradio-app")
    for tag, attributes in Tags(html).tags:
        if attributes.get("rel") == "stylesheet":
            assert (attributes["media"], "all" in attributes["onload"]) == ("print", True)
        if tag == "script" and "src" in attributes:
            assert attributes["type"] == "module"
    assert html.count('rel="stylesheet"') == TEMPLATE.count('rel="stylesheet"') > 0
    assert "first-faces" not in client.get("/", params={"face": FACE}).text


def test_the_first_face_is_sharp_and_small(steered_studio: Studio) -> None:
    for key, side in ((EMBEDDED_KEY, 512), (START_KEY, 32)):  # of a model too small to be sharpened, the plain face
        html = first_faces(steered_studio.open(key))
        face, variations = map(base64.b64decode, re.findall(r"data:image/webp;base64,([\w+/=]+)", html))
        assert (len(face) <= MOST_LARGE, len(variations) <= MOST_SMALL) == (True, True)
        with Image.open(io.BytesIO(face)) as large, Image.open(io.BytesIO(variations)) as row:
            assert (large.size, row.size) == ((side, side), (640, 80))
        assert "http" not in html


def test_icon_is_a_face_in_every_size() -> None:
    client = TestClient(Starlette(routes=icons.routes()))
    for side in icons.SIDES:
        answer = client.get(f"/ganime/icon-{side}.png")
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert (picture.format, picture.size) == ("PNG", (side, side))
            assert len(picture.convert("RGB").resize((32, 32)).getcolors(1024) or range(1024)) > 300
        assert len(answer.content) < 120_000
    with Image.open(io.BytesIO(client.get("/favicon.ico").content)) as picture:
        assert (picture.format, picture.size) == ("ICO", (48, 48))
    assert client.get("/ganime/icon-9999.png").status_code == 404


def test_manifest_names_icons_that_exist() -> None:
    client = TestClient(Starlette(routes=icons.routes()))
    manifest = client.get("/manifest.json").json()
    assert (manifest["name"], manifest["start_url"], manifest["display"]) == ("Ganime", "./", "standalone")
    for icon in manifest["icons"]:
        answer = client.get(f"/{icon['src']}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, icon["type"])
