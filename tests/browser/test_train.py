"""The Train tab in real Chromium: faces in, a job to watch, its model on the other tabs, and whose it is."""

from __future__ import annotations

import io
import json
import re
import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect
from sqlmodel import select

from app.jobs.arrivals import Upload
from app.jobs.service import Jobs
from app.jobs.store import Job, Store
from app.settings import Settings
from app.visitors import Visitor
from ganime.drawing.recipe import Recipe
from ganime.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.app.job_helpers import children_of, run_files, wait_for
from tests.app.jobs.test_uploads import header, png, zipped
from tests.browser.accessibility import serious
from tests.browser.conftest import DESKTOP, PHONE, SERVER, stand_in
from tests.browser.train_tab import PATIENCE, open_tab
from tests.hub_server import HubServer
from tests.page_server import ROOT, serve

HOSTILE = "<img src=x onerror=alert(1)>.png"
RATE = re.compile(r"In 15 minutes the model will see about [\d,]+ images \([\d.,]+ a second\)")
FIRST = "JSON.parse(localStorage['ganime-jobs'])[0]"
KEPT = "JSON.parse(localStorage['ganime-jobs']).length"
SHORT_INTERVALS = "const { setInterval } = window; window.setInterval = (f, ms) => setInterval(f, Math.min(ms, 300));"
TINY = (str(ROOT / "tests" / "trainers.py"), "app", "tiny")


class Site:
    """The page with a separate home; its process can be killed and started again, then at another address."""

    def __init__(self, home: Path, hub: HubServer) -> None:
        self.home, self.hub, self.running = home, hub, ExitStack()
        self.start()

    def start(self) -> None:
        variables = {"GANIME_VISITOR_JOBS": "20", "HF_ENDPOINT": self.hub.endpoint, "HF_HUB_DISABLE_XET": "1"}
        self.address = self.running.enter_context(serve(self.home, command=TINY, **variables))

    def kill(self) -> None:
        """End the page and its trainers as a crash of the machine would."""
        for process in psutil.Process().children():
            with suppress(psutil.Error):  # one that has ended
                if process.environ().get("GANIME_HOME") == str(self.home):
                    process.kill()
        wait_for(lambda: not is_served(self.address))  # else it would see its trainers end
        for process in children_of(self.home):
            process.kill()
        self.running.close()


def is_served(address: str) -> bool:
    """Whether anything answers at the address of a page."""
    place = urlsplit(address)
    with suppress(OSError), socket.create_connection((place.hostname, place.port), 5):
        return True
    return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("training"), hub)
    yield found
    found.running.close()
    for process in children_of(found.home):  # left over by a test that failed
        process.kill()


@pytest.fixture(autouse=True)
def _no_job_is_left(site: Site) -> Iterator[None]:
    """Delete what a test has left, so that no job waits for another one's."""
    yield
    store = Store(site.home)
    with store.writing() as session:
        for job in session.exec(select(Job)):
            job.deleted = True
    store.close()


@pytest.fixture(autouse=True)
def _answers_late(page: Page) -> None:
    """As a machine does that trains; the page asks about its jobs at once and not every two seconds."""
    page.set_default_timeout(PATIENCE)
    page.add_init_script(SHORT_INTERVALS)


@pytest.fixture
def training_address(site: Site) -> str:
    return site.address


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


def begun(page: Page, minutes: int = 15, state: str = "running") -> Locator:
    """The job that is started on the faces that are on their way, in this state."""
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    more_choices(page)
    page.get_by_label("From scratch").check()
    page.get_by_label("number input for Minutes of training").fill(str(minutes))
    page.get_by_label("32", exact=True).check()
    page.locator("#start-training").click()
    job = page.locator("#job .job")
    expect(job).to_have_attribute("data-state", state, timeout=PATIENCE)
    expect(job.locator(".name")).to_be_in_viewport()
    expect(page.locator("#train-form")).to_be_hidden()
    if state == "running":
        expect(job.locator(".pace")).to_contain_text("images seen", timeout=PATIENCE)
    return job


def more_choices(page: Page) -> None:
    """Open the part of the form that few need."""
    if not page.get_by_label("From scratch").is_visible():
        page.get_by_role("button", name="More choices").click()


def unfold(page: Page) -> None:
    """Open the form, which is folded while a job runs."""
    page.get_by_role("button", name="Train another model").click()
    expect(page.locator("#start-training")).to_be_visible()


def use(page: Page, job: Locator, name: str) -> None:
    """Use the model of the job that is shown, which ends on the Create tab. name: of the model."""
    job.get_by_role("button", name="Use this model").click()
    expect(page.locator(".model-name")).to_have_text(name, timeout=PATIENCE)
    expect(page.get_by_role("tab", name="Create")).to_have_attribute("aria-selected", "true", timeout=PATIENCE)


def delete(job: Locator, others: bool = False) -> None:
    """Delete the job that is shown, also while it runs. others: whether another one comes in its place."""
    job.locator('[data-action="delete"]').click()
    job.get_by_role("button", name="Yes, delete").click()
    if not others:
        expect(job).to_be_hidden(timeout=PATIENCE)


def publish(page: Page, job: Locator, hub: HubServer) -> bytes:
    """Publish the model of an ended job with a token; returns the weights that have arrived on the hub."""
    hub.accounts["hf_tester"] = "tester"
    job.locator(".publish summary").click()
    form = job.locator(".publish form")
    expect(form.get_by_label("Name on the hub")).to_have_attribute("placeholder", "your-name/b-mine-b")
    expect(form.locator(".copies")).to_be_hidden()
    form.get_by_label("Name on the hub").fill("tester/mine")
    form.get_by_label("Where did the faces come from?").fill("drawn by a program")
    form.get_by_label("Licence").select_option("mit")
    token = form.get_by_label("Token")
    token.fill("hf_wrong")
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    form.get_by_role("button", name="Publish").click()
    expect(form.locator(".published")).to_contain_text("HTTP 401", timeout=PATIENCE)
    expect(token).to_have_value("")
    token.fill("hf_tester")
    form.get_by_role("button", name="Publish").click()
    link = form.locator(".published a")
    expect(link).to_have_attribute("href", f"{hub.endpoint}/tester/mine", timeout=PATIENCE)
    assert "hf_tester" not in page.evaluate("JSON.stringify({...localStorage}) + document.documentElement.outerHTML")
    return hub.models["tester/mine"].files["model.safetensors"]


def leave_run(hub: HubServer, model: Path) -> None:
    """Have the latest job on the hub end, with a run whose model is in a folder."""
    job = hub.jobs[-1]
    dataset = job.wanted["volumes"][0]["source"]
    files = {f"run/{name}": data for name, data in run_files(model).items()}
    hub.commit("dataset", dataset, hub.datasets[dataset].files | files)
    job.stage = "COMPLETED"


def test_a_model_is_trained_on_the_account_of_its_visitor_and_fetched(
    page: Page, site: Site, uploaded: Path, tiny_folder: Path, complaints: list[str]
) -> None:
    site.hub.accounts["hf_tester"] = "tester"
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    open_tab(page, site.address)
    page.locator("#faces-files input[type=file]").set_input_files(uploaded)
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    more_choices(page)
    page.get_by_label("From scratch").check()
    page.get_by_label("32", exact=True).check()
    part, job = page.locator("#on-hub"), page.locator("#job .job")
    part.get_by_text("Train on your own Hugging Face account").click()
    token = part.get_by_label("Token")
    token.fill("hf_wrong")
    part.get_by_role("button", name="Show machines and prices").click()
    expect(part.locator(".said")).to_contain_text("HTTP 401", timeout=PATIENCE)
    token.fill("hf_tester")
    part.get_by_role("button", name="Show machines and prices").click()
    expect(part.locator(".price")).to_contain_text("At most $0.64", timeout=PATIENCE)
    part.get_by_label("Minutes of training there").fill("10")
    expect(part.locator(".leaves")).to_contain_text("in the account tester")
    assert serious(page) == []
    assert site.hub.datasets == {}
    part.get_by_role("button", name="Start for at most $0.27").click()

    expect(job).to_have_attribute("data-state", "elsewhere", timeout=PATIENCE)
    expect(job.locator(".state")).to_have_text("Training on your account")
    expect(job.locator(".where a").first).to_have_attribute("href", f"{site.hub.endpoint}/jobs/tester/job0")
    expect(page.locator("#train-form")).to_be_hidden()
    there = job.locator(".on-hub")
    expect(there.locator(".due")).to_contain_text("at the latest")
    there.get_by_role("button", name="Cancel it").click()
    there.get_by_role("button", name="Yes, end it").click()
    expect(there.locator(".fetched")).to_contain_text("Paste a token")
    expect(there.get_by_label("Token")).to_be_focused()
    assert serious(page) == []
    there.get_by_role("button", name="No, let it train").click()
    there.get_by_label("Token").fill("hf_tester")
    there.get_by_role("button", name="Fetch the model").click()
    expect(there.locator(".fetched")).to_contain_text("has not ended", timeout=PATIENCE)
    leave_run(site.hub, tiny_folder)
    there.get_by_role("button", name="Fetch the model").click()
    expect(job).to_have_attribute("data-state", "finished", timeout=PATIENCE)
    expect(job.locator(".grid")).to_be_visible(timeout=PATIENCE)
    expect(job.get_by_role("button", name="Continue")).to_be_hidden()
    assert serious(page) == []
    assert "hf_tester" not in page.evaluate("JSON.stringify({...localStorage}) + document.documentElement.outerHTML")
    use(page, job, "My faces")
    page.get_by_role("tab", name="Train").click()
    delete(job)


def test_faces_become_a_model_that_is_the_visitors_alone(
    page: Page, browser: Browser, site: Site, uploaded: Path, complaints: list[str], tmp_path: Path
) -> None:
    training_address = site.address
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    open_tab(page, training_address)
    page.locator("#faces-files input[type=file]").set_input_files(uploaded)
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#faces .counts")).to_contain_text("Unreadable")
    page.locator("#faces summary").click()
    expect(page.locator("#faces .skipped ul")).to_contain_text(HOSTILE)
    assert page.locator("#faces .skipped img").count() == 0

    expect(page.locator("#estimate")).to_contain_text("no earlier job of this kind", timeout=PATIENCE)

    page.reload()  # the uploaded faces are there still, and can be gone on with
    page.get_by_role("tab", name="Train").click()
    job = page.locator("#job .job")
    expect(job.locator(".name")).to_have_text("Uploaded faces")
    expect(job.locator(".sheet")).to_be_visible()
    job.get_by_role("button", name="Train on these faces").click()
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    expect(job).to_be_hidden()
    expect(page.locator("#start-training")).to_be_focused()
    expect(page.locator("#start-training")).to_be_in_viewport()
    more_choices(page)
    page.get_by_label("From scratch").check()
    page.get_by_label("Name of the model").fill("<b>mine</b>")
    page.locator("#start-training").click()
    expect(job).to_have_attribute("data-state", "running", timeout=PATIENCE)
    expect(job.locator(".pace")).to_contain_text("images seen", timeout=PATIENCE)
    job.get_by_role("button", name="Save and sample now").click()
    expect(job.locator(".when")).to_contain_text("Sample 2", timeout=PATIENCE)
    assert serious(page) == []

    unfold(page)
    expect(page.get_by_label("From scratch")).to_be_checked()  # as the job that is running
    page.get_by_label("Stop after this many images").fill("")  # the same as 0
    expect(page.locator("#estimate")).to_contain_text(RATE, timeout=PATIENCE)
    page.get_by_label("Stop after this many images").fill("10")
    expect(page.locator("#estimate")).to_contain_text(re.compile(r"10 images take about \d+\ss"), timeout=PATIENCE)

    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.reload()
    page.wait_for_selector(".tile", state="attached")
    page.get_by_role("tab", name="Train").click()
    expect(job.locator(".name")).to_have_text("<b>mine</b>")
    expect(page.locator("#train-form")).to_be_hidden()  # the job comes first
    expect(page.locator(".remembered >> visible=true")).to_have_count(0)
    expect(job.locator(".grid")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious(page) == []
    heights = page.locator("#job button:visible").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert min(heights) >= 44

    key = page.evaluate("JSON.parse(localStorage.getItem('ganime-jobs'))[0].key")
    assert_others_see_nothing(browser, training_address, key)

    job.get_by_role("button", name="Stop and keep").click()
    expect(job).to_have_attribute("data-state", "finished", timeout=PATIENCE)
    expect(job.locator(".state")).to_have_text("Stopped")
    expect(job.locator(".reason")).to_be_empty()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    job.get_by_role("button", name="Copy link").click()
    expect(job.locator(".address")).to_have_value(f"{training_address}/#job={key}")
    expect(job.get_by_role("button", name="Delete")).to_be_in_viewport(ratio=1)
    stand_in(page, ask={"progress": 0.4})
    job.get_by_role("button", name="Compare with your faces").click()
    expect(job.locator(".comparing progress")).to_have_attribute("value", "0.4")
    job.get_by_role("button", name="Stop comparing").click()
    expect(job.locator(".comparing")).to_be_hidden()
    page.unroute(SERVER)
    job.get_by_role("button", name="Compare with your faces").click()
    expect(job.locator(".likeness figcaption")).to_contain_text("other real faces", timeout=PATIENCE)
    expect(job.locator(".pairs img")).to_have_count(2)
    expect(job.locator(".pairs img").last).to_be_in_viewport(ratio=0.99)
    stand_in(page, nearest={"error": "Others are being served just now."})
    job.get_by_role("button", name="Compare with your faces").click()
    refusal = page.locator("#job").get_by_role("alert")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(refusal).to_be_in_viewport(ratio=1)
    refusal.click()
    expect(refusal).to_have_count(0)  # it is hidden
    page.unroute(SERVER)
    job.locator(".card summary").click()
    expect(job.locator(".card h1")).to_have_text("<b>mine</b>")
    with page.expect_download() as waiting:
        job.get_by_role("button", name="Download the model").click()
    zipfile.ZipFile(waiting.value.path()).extractall(tmp_path)
    trained = load_checkpoint(tmp_path / "ganime-model")
    assert publish(page, job, site.hub) == (tmp_path / "ganime-model" / "model.safetensors").read_bytes()

    page.get_by_role("tab", name="Interpolate").click()
    name, recipe_line = page.locator(".model-name"), page.locator("#create .about .recipe")
    page.locator(".models > summary").click()
    page.locator(".known").get_by_role("button", name="<b>mine</b>").click()
    expect(name).to_have_text("<b>mine</b>", timeout=PATIENCE)
    expect(page.locator(".models .details")).to_contain_text("<b>mine</b> · trained on this page · 128 px")
    expect(page.get_by_role("tab", name="Interpolate")).to_have_attribute("aria-selected", "true")
    assert serious(page) == []
    expect(recipe_line).to_contain_text("<b>mine</b>", timeout=PATIENCE)
    page.locator(".models > summary").click()
    page.locator(".known").get_by_role("button", name="embedded").click()
    expect(name).not_to_have_text("<b>mine</b>", timeout=PATIENCE)
    expect(recipe_line).not_to_contain_text("<b>mine</b>", timeout=PATIENCE)
    page.get_by_role("tab", name="Train").click()
    use(page, job, "<b>mine</b>")
    expect(recipe_line).to_contain_text("<b>mine</b>", timeout=PATIENCE)
    assert page.evaluate("scrollY") == 0  # where the face is
    page.locator("#create .main .menu summary").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="128 px, exact").click()
    with Image.open(waiting.value.path()) as picture:
        text = picture.info["ganime"]
    recipe = Recipe.from_json(text)
    assert (recipe.model, recipe.revision) == ("<b>mine</b>", trained.revision)
    assert key not in text

    page.get_by_role("tab", name="Train").click()
    job.get_by_role("button", name="Delete").click()
    job.get_by_role("button", name="Yes, delete").click()
    expect(job).to_be_hidden()
    page.wait_for_function("localStorage.getItem('ganime-jobs') === '[]'")
    expect(page.locator("#job .own")).to_be_hidden()
    expect(page.locator("#dock .status")).to_contain_text("Job deleted. The page is back to", timeout=PATIENCE)
    expect(name).not_to_have_text("<b>mine</b>")
    page.get_by_role("tab", name="Create").click()
    expect(recipe_line).not_to_contain_text("<b>mine</b>", timeout=PATIENCE)
    before = recipe_line.text_content() or ""
    page.locator('#create [data-do="dice"]').click()
    expect(recipe_line).not_to_have_text(before, timeout=PATIENCE)
    expect(page.locator("#dock .alert")).to_be_empty()


def assert_others_see_nothing(browser: Browser, address: str, key: str) -> None:
    """Another visitor has no jobs; a guessed key is refused; the link opens the job and leaves the address bar.

    It does so when it is pasted into the open page, and when the page is opened with it.
    """
    right, wrong = f"{address}/#job={key}", f"{address}/#job={key[:-4]}aaaa"
    context = browser.new_context()
    other = context.new_page()
    asked: list[str] = []
    other.on("request", lambda request: asked.append(request.url + str(request.headers)))
    open_tab(other, address)
    for job in (".own", ".job"):
        expect(other.locator(f"#job {job}")).to_be_hidden()
    other.get_by_role("tab", name="Create").click()
    assert_opens(other, right, key)
    context.close()

    context = browser.new_context()
    other = context.new_page()
    other.on("request", lambda request: asked.append(request.url + str(request.headers)))
    open_tab(other, wrong)
    expect(other.locator("#job .alert")).to_contain_text("no such job")
    for job in (".own", ".job"):
        expect(other.locator(f"#job {job}")).to_be_hidden()
    other.goto("about:blank")
    assert_opens(other, right, key)
    context.close()
    assert not [request for request in asked if key.partition(".")[2] in request]  # in what servers log


def assert_opens(page: Page, link: str, key: str) -> None:
    page.goto(link)
    expect(page.locator("#job .name")).to_have_text("<b>mine</b>", timeout=PATIENCE)
    assert key not in page.url


def test_no_faces_and_too_few_are_answered_in_words_and_a_whole_folder_is_enough(
    page: Page, training_address: str, complaints: list[str], draw_face: Callable[..., Image.Image], faces_folder: Path
) -> None:
    open_tab(page, training_address)
    page.locator("#start-training").click()
    refusal = page.locator("#refusal .alert")
    for _ in range(2):  # it comes again although it was put away
        page.locator("#start-training").click()
        expect(refusal).to_contain_text("no faces to train on yet")
        expect(refusal).to_be_in_viewport()
        refusal.click()
        expect(refusal).to_be_hidden()
    page.locator("#start-training").click()
    expect(refusal).to_contain_text("no faces to train on yet")
    page.get_by_label("number input for Minutes of training").fill("7")
    expect(refusal).to_be_hidden()
    buffer = io.BytesIO()
    draw_face(1).save(buffer, "PNG")
    one = {"name": "one & only.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.locator("#faces-files input[type=file]").set_input_files([one])  # type: ignore[list-item]
    expect(page.locator("#faces .alert")).to_contain_text("at least 16 are needed", timeout=PATIENCE)
    assert str(ROOT) not in page.locator("#faces .alert").inner_text()
    page.locator("input[webkitdirectory]").set_input_files(faces_folder)
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#faces .alert")).to_be_empty()
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no faces"}
    page.locator("#faces-files input[type=file]").set_input_files([notes])  # type: ignore[list-item]
    expect(page.locator("#faces .alert")).to_contain_text("notes.txt is a text file", timeout=PATIENCE)
    page.locator("#faces .alert").click()
    expect(page.locator("#faces .alert")).to_be_hidden()
    expect(page.locator("#faces .contact")).to_be_visible()


def test_an_ended_job_is_tidy_and_its_messages_go_by_a_tap_and_with_it_goes_its_model(
    page: Page, site: Site, uploaded: Path, tiny: Checkpoint, complaints: list[str]
) -> None:
    jobs = Jobs(Settings(home=site.home))
    key = jobs.draft([Upload(uploaded, "faces.zip")], Visitor("me"), 32)
    save_checkpoint(tiny, jobs.folder(key).run / "saves" / "best")
    with jobs.changing(key) as (_, row):
        row.state, row.name = "finished", "Mine"
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.goto(f"{site.address}/#job={key}")
    job, said = page.locator("#job .job"), page.locator("#job .job .status")
    actions = job.get_by_role("group", name="Actions for this job")
    beside(actions.get_by_role("button", name="Copy link"), actions.get_by_role("button", name="Delete"))
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    beside(actions.get_by_role("button", name="Copy link"), actions.get_by_role("button", name="Delete"))
    again, whole = (job.locator(part).bounding_box() for part in (".more button", ".more"))
    assert again
    assert whole
    assert again["width"] == pytest.approx(whole["width"], abs=1)

    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    for put_away in (said, job.locator(".pace"), actions.get_by_role("button", name="Delete")):
        job.get_by_role("button", name="Copy link").click()
        expect(said).to_contain_text("Copy this link")
        expect(job.locator(".address")).to_be_visible()
        put_away.click()
        expect(said).to_be_empty()
        expect(job.locator(".address")).to_be_hidden()

    use(page, job, "Mine")
    page.get_by_role("tab", name="Train").click()
    delete(job)
    expect(page.locator("#dock .status")).to_contain_text("Job deleted. The page is back to", timeout=PATIENCE)
    expect(page.locator("#dock .alert")).to_be_empty()
    expect(page.locator("#train-form h3").first).to_be_in_viewport(ratio=1)


def beside(first: Locator, second: Locator) -> None:
    """Assert that two parts stand in one line."""
    boxes = [part.bounding_box() for part in (first, second)]
    assert all(boxes)
    assert len({box["y"] for box in boxes if box}) == 1


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
    expect(page.locator("#job .lost")).to_contain_text("The server does not answer")
    page.get_by_role("button", name="Away <b> · Not available").click()
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


def test_the_faces_of_one_job_are_not_shown_with_another_and_are_asked_for_again(
    page: Page, site: Site, uploaded: Path
) -> None:
    jobs = Jobs(Settings(home=site.home))
    keys = [jobs.draft([Upload(uploaded, "faces.zip")], Visitor("me"), 32) for _ in range(2)]
    kept = json.dumps([{"key": key, "name": f"job {place}"} for place, key in enumerate(keys)])
    page.add_init_script(f"localStorage.setItem('ganime-jobs', {kept!r})")
    open_tab(page, site.address)
    sheet = page.locator("#job .sheet")
    expect(page.locator("#job .list button")).to_have_count(2)
    expect(sheet).to_be_visible()
    stand_in(page, faces_sheet={"error": "Busy."})
    page.locator("#job .list button").nth(1).click()
    for _ in range(2):
        page.wait_for_event("response", lambda response: "faces_sheet" in (response.request.post_data or ""))
    expect(page.locator("#job .job")).to_be_visible()
    expect(sheet).to_be_hidden()
    page.unroute(SERVER)
    expect(sheet).to_be_visible()


def test_a_folder_becomes_a_job_with_charts_and_grids_that_goes_on_after_the_page_was_killed(
    page: Page, site: Site, faces_folder: Path, complaints: list[str]
) -> None:
    open_tab(page, site.address)
    page.locator("input[webkitdirectory]").set_input_files(faces_folder)
    job = begun(page)
    job.locator(".numbers summary").click()
    line = job.locator(".losses path.first")
    expect(line).to_be_visible(timeout=PATIENCE)
    points = (line.get_attribute("d") or "").count("L")
    expect(line).to_have_attribute("d", re.compile(rf"^M(?:[^L]+L){{{points + 1},}}"), timeout=PATIENCE)

    when, grid, scrub = job.locator(".when"), job.locator(".grid"), job.get_by_label("Which sample is shown")
    expect(when).to_contain_text("Sample ", timeout=PATIENCE)
    job.get_by_role("button", name="Save and sample now").click()
    expect(when).to_contain_text(re.compile(r"Sample ([2-9]|\d\d+) of "), timeout=PATIENCE)
    drag_from_the_start_to_now(page, job)
    scrub.fill("0")
    expect(when).to_contain_text("Sample 1 of ")
    expect(grid).to_have_attribute("alt", "Faces drawn after 0 images", timeout=PATIENCE)
    expect(grid).to_have_attribute("src", re.compile("^data:image/png"))
    first = grid.get_attribute("src") or ""
    expect(job.locator(".before")).to_have_attribute("src", first)
    scrub.press("End")
    expect(when).not_to_contain_text("Sample 1 of ")
    expect(grid).not_to_have_attribute("src", first, timeout=PATIENCE)
    scrub.fill("0")
    expect(grid).to_have_attribute("src", first, timeout=PATIENCE)

    key = page.evaluate(f"{FIRST}.key")
    expect(job.get_by_role("button", name="Use this model")).to_be_visible(timeout=PATIENCE)  # there is a save
    assert complaints == []
    site.kill()
    expect(page.locator("#job .lost")).to_contain_text("The server does not answer", timeout=PATIENCE)
    site.start()
    page.goto(f"{site.address}/#job={key}")
    complaints.clear()  # that of a server that did not answer
    expect(job).to_have_attribute("data-state", "interrupted", timeout=PATIENCE)
    expect(job.locator(".state")).to_have_text("Interrupted")
    expect(job.locator(".reason")).to_contain_text("while the page was not running")
    expect(job.locator(".rest")).to_contain_text("minutes left")
    job.get_by_role("button", name="Continue").click()
    expect(job).to_have_attribute("data-state", "running", timeout=PATIENCE)
    expect(job.locator(".notes")).to_contain_text("Resumed at", timeout=PATIENCE)
    delete(job)


def drag_from_the_start_to_now(page: Page, job: Locator) -> None:
    """Move the divider between the faces at the start and now, by the mouse and by the keyboard."""
    divider, split = job.locator(".divider"), job.locator(".split")
    expect(split).to_be_visible(timeout=PATIENCE)  # once both pictures have come
    box = split.bounding_box()
    assert box
    middle, quarter = ({"x": box["width"] / parts, "y": 60} for parts in (2, 4))
    split.drag_to(split, source_position=middle, target_position=quarter)  # type: ignore[arg-type]
    expect(split).to_have_value(re.compile("^2[3-7]$"))
    expect(divider).to_have_attribute("style", re.compile(r"left: 2[3-7]%"))
    split.press("End")
    expect(job.locator(".before")).to_have_css("clip-path", "inset(0px 0% 0px 0px)")


def test_a_refused_upload_is_reported_above_the_tray_and_the_frame_takes_other_files_at_once(
    page: Page, site: Site
) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    open_tab(page, site.address)
    page.route("**/upload*", lambda route: route.fulfill(status=413, body="Too much for this page."))
    page.locator("#faces-files input[type=file]").set_input_files(
        [{"name": "face.png", "mimeType": "image/png", "buffer": b"face"}]  # type: ignore[list-item]
    )
    message = page.get_by_test_id("toast-body")
    expect(message).to_contain_text("Too much for this page.")
    box, dock = message.bounding_box(), page.locator("#dock").bounding_box()
    assert box
    assert dock
    assert PHONE["height"] / 2 < box["y"] < box["y"] + box["height"] <= dock["y"]
    with page.expect_file_chooser():
        page.locator("#faces-files .upload-container").click()


def test_example_faces_and_the_tray_need_one_click_and_a_stopped_model_can_be_finished(
    page: Page, site: Site, complaints: list[str]
) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    open_tab(page, site.address)
    page.get_by_role("button", name="Use my tray").click()
    expect(page.locator("#faces .alert")).to_contain_text("tray is empty", timeout=PATIENCE)
    page.get_by_role("button", name="Try it with 300 example faces").click()
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#faces .alert")).to_be_empty()
    notes = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no faces"}
    page.locator("#faces-files input[type=file]").set_input_files([notes])  # type: ignore[list-item]
    expect(page.locator("#faces .alert")).to_contain_text("notes.txt is a text file", timeout=PATIENCE)
    expect(page.locator("#faces .contact")).to_be_visible()
    expect(page.locator("#faces .counts")).to_contain_text("128 x 128 px")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    job = begun(page)
    expect(job.locator(".pace")).to_contain_text("24 faces")
    job.get_by_role("button", name="Stop and keep").click()
    expect(job.locator(".state")).to_have_text("Stopped", timeout=PATIENCE)
    expect(page.locator("#train-form")).to_be_hidden()  # so that the job stays where it is
    expect(job.locator(".brings")).to_have_text("It brings the check for copies.")
    job.get_by_role("button", name="Add clarity and sliders").click()
    expect(job.locator(".state")).to_have_text("Finished", timeout=PATIENCE)
    assert serious(page) == []
    delete(job)


def test_hostile_files_are_named_beside_good_faces_whose_job_starts_stops_and_goes_on_with_what_was_left(
    page: Page, site: Site, uploaded: Path, draw_face: Callable[..., Image.Image], complaints: list[str]
) -> None:
    good = [png(draw_face(seed)) for seed in range(20)]
    script = "<img src=x onerror=hit=1>😀"
    files = {
        "faces.zip": zipped(
            [("../../outside.png", good[0]), *((f"{n}.png", data) for n, data in enumerate(good[1:10]))]
        ),
        f"{script}.png": good[10][:200],
        "empty.png": b"",
        "huge.png": header(60_000, 60_000),
        **{f"{script}{number}.png": data for number, data in enumerate(good[11:])},
    }
    uploads: list[FilePayload] = [
        {"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files.items()
    ]
    open_tab(page, site.address)
    page.locator("#faces-files input[type=file]").set_input_files(uploads)
    expect(page.locator("#faces .contact")).to_be_visible(timeout=PATIENCE)
    counts = page.locator("#faces .counts").inner_text().split("\n")
    assert {("Unreadable", "3"), ("Other files", "1")} <= set(pairwise(counts))  # the one that points outside
    page.locator("#faces summary").click()
    for name in (f"{script}.png", "empty.png", "huge.png"):
        expect(page.locator("#faces .skipped li", has_text=name)).to_have_count(1)
    job = begun(page, minutes=7)
    assert page.locator("#faces img, #job .notes img").count() <= 1  # the contact sheet
    assert page.evaluate("window.hit") is None
    wait_for(lambda: not list((site.home / "gradio" / "arrivals").glob("*")))
    assert not list(site.home.rglob("outside.png"))

    job.get_by_role("button", name="Stop and keep").click()
    expect(job).to_have_attribute("data-state", "finished", timeout=PATIENCE)
    expect(job.locator(".rest")).to_have_text(re.compile(r"^(6\.\d|7) minutes left\."))
    assert serious(page) == []
    job.get_by_role("button", name="Continue").click()
    expect(job).to_have_attribute("data-state", "running", timeout=PATIENCE)
    expect(job.locator(".plan")).to_contain_text(re.compile(r"training, about \d+\smin left"), timeout=PATIENCE)
    [child] = children_of(site.home)
    assert 6 < float(dict(pairwise(child.cmdline()))["--minutes"]) <= 7

    unfold(page)
    page.locator("#faces-files input[type=file]").set_input_files(uploaded)
    expect(page.locator("#job .list button")).to_have_count(1)
    begun(page, state="queued")
    expect(job.locator(".state")).to_contain_text("number 1 in the queue")
    expect(job.locator(".pace")).to_contain_text(re.compile(r"begins in about [67]\smin"))
    delete(job, others=True)
    expect(job).to_have_attribute("data-state", "running", timeout=PATIENCE)
    expect(job.locator(".plan")).to_contain_text(re.compile(r"training, about \d+\smin left"), timeout=PATIENCE)
    delete(job)
