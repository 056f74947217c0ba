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
    with page.expect_download() as waiting:
        job.get_by_role("button", name="Download the model").click()
    zipfile.ZipFile(waiting.value.path()).extractall(tmp_path)
    trained = load_checkpoint(tmp_path / "ganime-model")

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


def assert_others_see_nothing(browser: Browser, address: str, key: str) -> None:
    """Another visitor has no jobs; a guessed key is refused; the link opens the job and leaves the address bar."""
    for link, refused in (("", False), (f"#job={key[:-4]}aaaa", True)):
        context = browser.new_context()
        other = context.new_page()
        open_tab(other, address + link)
        if refused:
            expect(other.locator("#job .alert")).to_contain_text("no such job")
        expect(other.locator("#job .own")).to_be_hidden()
        expect(other.locator("#job .job")).to_be_hidden()
        context.close()
    context = browser.new_context()
    friend = context.new_page()
    friend.goto(f"{address}/?job={key}")
    expect(friend.locator("#job .name")).to_have_text("<b>mine</b>", timeout=20_000)
    assert key not in friend.url
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
        assert answer.status == 413


def test_where_a_login_is_needed_a_stranger_is_told_so(page: Page, tmp_path: Path, uploaded: Path) -> None:
    with serve(tmp_path, GANIME_TRAINING="login") as url:
        open_tab(page, url)
        page.locator("#faces-files input[type=file]").set_input_files(uploaded)
        expect(page.locator("#faces .alert")).to_contain_text("signed in may train", timeout=PATIENCE)
