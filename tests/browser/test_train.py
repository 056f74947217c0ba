"""The Train tab in real Chromium: faces in, a job to watch, its model on the other tabs, and whose it is."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from ganime.checkpoint import load_checkpoint
from ganime.latents import Recipe
from tests.browser.conftest import DESKTOP, PHONE, ROOT, serve
from tests.test_jobs import children_of

HOSTILE = "<img src=x onerror=alert(1)>.png"
RATE = re.compile(r"About [\d,]+ images in 15 minutes, at [\d.e+]+ a second here\.")
PATIENCE = 120_000  # milliseconds for what a trainer does on a busy machine
SERVER = re.compile("component_server")
FIRST = "JSON.parse(localStorage['ganime-jobs'])[0]"
KEPT = "JSON.parse(localStorage['ganime-jobs']).length"
TINY = (str(ROOT / "tests" / "trainers.py"), "app", "tiny")


@pytest.fixture(scope="module")
def training_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("training")
    with serve(home, command=TINY, GANIME_STOP_SECONDS="20") as url:
        yield url
    for process in children_of(home):  # left over by a test that failed
        process.kill()


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory, draw_face: Callable[..., Image.Image]) -> Path:
    """A zip of 24 faces and a file that is none, with a name that is HTML."""
    path = tmp_path_factory.mktemp("uploaded") / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for seed in range(24):
            buffer = io.BytesIO()
            draw_face(seed).save(buffer, "PNG")
            archive.writestr(f"{seed}.png", buffer.getvalue())
        archive.writestr(HOSTILE, b"no picture")
    return path


def open_tab(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".tile", state="attached")
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#start-training")).to_be_visible()


def serious(page: Page) -> list[tuple[str, list[str]]]:
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["target"] for node in one["nodes"][:4]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_faces_become_a_model_that_is_the_visitors_alone(
    page: Page, browser: Browser, training_address: str, uploaded: Path, complaints: list[str], tmp_path: Path
) -> None:
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    open_tab(page, training_address)
    page.locator("#faces-files input[type=file]").set_input_files(uploaded)
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#faces .counts")).to_contain_text("Unreadable")
    page.locator("#faces summary").click()
    expect(page.locator("#faces .unread ul")).to_contain_text(HOSTILE)
    assert page.locator("#faces .unread img").count() == 0

    expect(page.locator("#estimate")).to_contain_text(RATE, timeout=PATIENCE)

    page.reload()  # the uploaded faces are there still, and can be gone on with
    page.get_by_role("tab", name="Train").click()
    job = page.locator("#job .job")
    expect(job.locator(".name")).to_have_text("Uploaded faces")
    job.get_by_role("button", name="Train on these faces").click()
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    expect(job).to_be_hidden()
    page.get_by_label("Scratch").check()
    expect(page.locator("#estimate")).to_contain_text(RATE)
    page.get_by_label("Or until so many images are seen").fill("10")
    expect(page.locator("#estimate")).to_contain_text("10 images take about 1 s", timeout=PATIENCE)
    page.get_by_label("Or until so many images are seen").fill("")  # as good as 0
    expect(page.locator("#estimate")).to_contain_text(RATE)
    page.get_by_label("Name of the model").fill("<b>mine</b>")
    page.locator("#start-training").click()
    expect(job).to_have_attribute("data-state", "running", timeout=PATIENCE)
    expect(job.locator(".pace")).to_contain_text("images seen", timeout=PATIENCE)
    job.get_by_role("button", name="Save and sample now").click()
    expect(job.locator(".grid")).to_be_visible(timeout=PATIENCE)
    assert serious(page) == []

    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.reload()
    page.wait_for_selector(".tile")
    page.get_by_role("tab", name="Train").click()
    expect(job.locator(".name")).to_have_text("<b>mine</b>")
    expect(job.locator(".grid")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious(page) == []
    heights = page.locator("#job button:visible").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert min(heights) >= 44

    key = page.evaluate("JSON.parse(localStorage.getItem('ganime-jobs'))[0].key")
    assert_others_see_nothing(browser, training_address, key)

    job.get_by_role("button", name="Stop and keep").click()
    expect(job).to_have_attribute("data-state", "finished", timeout=PATIENCE)
    job.get_by_role("button", name="Compare with your faces").click()
    expect(job.locator(".likeness figcaption")).to_contain_text("other real faces", timeout=PATIENCE)
    expect(job.locator(".pairs")).to_be_visible()
    job.locator(".card summary").click()
    expect(job.locator(".card h1")).to_have_text("<b>mine</b>")
    with page.expect_download() as waiting:
        job.get_by_role("button", name="Download the model").click()
    zipfile.ZipFile(waiting.value.path()).extractall(tmp_path)
    trained = load_checkpoint(tmp_path / "ganime-model")

    page.get_by_role("tab", name="Interpolate").click()
    page.get_by_role("button", name="Load another model").click()
    page.locator("#models").get_by_role("button", name="<b>mine</b>").click()
    expect(page.locator("#model-line")).to_contain_text("<b>mine</b> · trained on this page · 64 px", timeout=20_000)
    expect(page.get_by_role("tab", name="Interpolate")).to_have_attribute("aria-selected", "true")
    assert serious(page) == []
    page.get_by_role("button", name="Embedded model").click()
    expect(page.locator("#model-line")).to_contain_text("embedded", timeout=20_000)
    page.get_by_role("tab", name="Train").click()
    job.get_by_role("button", name="Use this model").click()
    expect(page.locator("#model-line")).to_contain_text("<b>mine</b> · trained on this page · 64 px", timeout=20_000)
    expect(page.locator("#gallery .recipe")).to_contain_text("<b>mine</b>", timeout=20_000)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PNG 64 px").click()
    with Image.open(waiting.value.path()) as picture:
        text = picture.info["ganime"]
    recipe = Recipe.from_json(text)
    assert (recipe.model, recipe.revision) == ("<b>mine</b>", trained.revision)
    assert key not in text

    page.get_by_role("tab", name="Train").click()
    job.get_by_role("button", name="Delete").click()
    job.get_by_role("button", name="Yes, delete").click()
    expect(job).to_be_hidden()
    assert page.evaluate("localStorage.getItem('ganime-jobs')") == "[]"
    expect(page.locator("#job .own")).to_be_hidden()
    expect(page.locator("#models .own")).to_be_hidden(timeout=20_000)


def assert_others_see_nothing(browser: Browser, address: str, key: str) -> None:
    """Another visitor has no jobs; a guessed key is refused; the link opens the job and leaves the address bar.

    It does so when the page is opened with it, and when it is pasted into the open page.
    """
    for link, refused in (("", False), (f"#job={key[:-4]}aaaa", True)):
        context = browser.new_context()
        other = context.new_page()
        open_tab(other, address + link)
        if refused:
            expect(other.locator("#job .alert")).to_contain_text("no such job")
        expect(other.locator("#job .own")).to_be_hidden()
        expect(other.locator("#job .job")).to_be_hidden()
        context.close()
    for pasted in (False, True):
        context = browser.new_context()
        friend = context.new_page()
        asked: list[str] = []
        friend.on("request", lambda request, asked=asked: asked.append(request.url + str(request.headers)))
        if pasted:
            open_tab(friend, address)
            friend.get_by_role("tab", name="Generate").click()
        friend.goto(f"{address}/#job={key}")
        expect(friend.locator("#job .name")).to_have_text("<b>mine</b>", timeout=PATIENCE)
        assert key not in friend.url
        assert not [request for request in asked if key.partition(".")[2] in request]  # in what servers log
        context.close()


def test_no_faces_and_too_few_are_answered_in_words_and_a_whole_folder_is_enough(
    page: Page, training_address: str, complaints: list[str], draw_face: Callable[..., Image.Image], faces_folder: Path
) -> None:
    open_tab(page, training_address)
    page.locator("#start-training").click()
    expect(page.locator("#job .alert")).to_contain_text("no faces to train on yet")
    buffer = io.BytesIO()
    draw_face(1).save(buffer, "PNG")
    one = {"name": "one & only.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.locator("#faces-files input[type=file]").set_input_files([one])  # type: ignore[list-item]
    expect(page.locator("#faces .alert")).to_contain_text("at least 16 are needed", timeout=PATIENCE)
    assert str(ROOT) not in page.locator("#faces .alert").inner_text()
    page.locator("input[webkitdirectory]").set_input_files(faces_folder)
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#faces .alert")).to_be_empty()
    expect(page.locator("#estimate")).to_contain_text(RATE, timeout=PATIENCE)


def test_where_training_is_off_the_tab_says_so_and_no_upload_is_let_in(page: Page, tmp_path: Path) -> None:
    with serve(tmp_path, GANIME_TRAINING="off") as url:
        page.goto(url)
        page.get_by_role("tab", name="Train").click()
        expect(page.get_by_text("has switched training off")).to_be_visible()
        expect(page.get_by_text("python -m ganime train my-faces/")).to_be_visible()
        answer = page.request.post(
            f"{url}/gradio_api/upload",
            multipart={"files": {"name": "big.bin", "mimeType": "application/octet-stream", "buffer": b"0" * 5_000}},
        )
        assert answer.status == 403
        assert "GANIME_TRAINING=off" in answer.text()


def test_where_a_login_is_needed_a_stranger_is_told_so(page: Page, tmp_path: Path, uploaded: Path) -> None:
    with serve(tmp_path, GANIME_TRAINING="login") as url:
        open_tab(page, url)
        page.locator("#faces-files input[type=file]").set_input_files(uploaded)
        expect(page.locator(".toast-body")).to_contain_text("signed in may train (GANIME_TRAINING=login)")
        assert not list((tmp_path / "gradio").rglob("*.zip"))


def test_jobs_that_are_not_here_are_kept_until_the_visitor_removes_them_and_a_lost_connection_is_told(
    page: Page, training_address: str, uploaded: Path
) -> None:
    open_tab(page, training_address)
    page.locator("#faces-files input[type=file]").set_input_files(uploaded)
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    page.locator("#faces-files input[type=file]").set_input_files(uploaded)
    page.wait_for_function(f"key => {FIRST}?.key !== key", arg=page.evaluate(f"{FIRST}.key"), timeout=PATIENCE)
    assert page.evaluate(KEPT) == 1  # the second took the place of the first
    away = "{ key: '0123456789abcdef.zzzz', name: 'Away <b>' }"
    store = f"localStorage.setItem('ganime-jobs', JSON.stringify([{away}, ...JSON.parse(localStorage['ganime-jobs'])]))"
    page.evaluate(store)
    page.reload()
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#job .away h3")).to_have_text("Away <b>")
    assert serious(page) == []
    page.get_by_role("button", name="Uploaded faces · Not started").click()
    expect(page.locator("#job .job .name")).to_have_text("Uploaded faces")
    assert page.evaluate(KEPT) == 2

    page.route(SERVER, lambda route: route.abort())
    expect(page.locator("#job .lost")).to_contain_text("The server does not answer", timeout=20_000)
    page.get_by_role("button", name="Away <b> · Not here now").click()
    page.unroute(SERVER)
    expect(page.locator("#job .lost")).to_be_empty(timeout=20_000)
    expect(page.locator("#job .away")).to_be_visible()
    page.get_by_role("button", name="Remove from this list").click()
    expect(page.locator("#job .job .name")).to_have_text("Uploaded faces")
    expect(page.locator("#job .list button")).to_have_count(1)
    page.locator("#job").get_by_role("button", name="Delete").click()
    page.locator("#job").get_by_role("button", name="Yes, delete").click()
    expect(page.locator("#job .own")).to_be_hidden()
    assert page.evaluate(KEPT) == 0
