"""The Train tab: faces in, a few settings, and a job to watch until its model can be used on the other tabs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from app import owner
from app.components import answer_with_file, component, forgiving
from app.job_limits import Plan, Visitor
from app.job_store import JobError, told
from app.job_view import AUDIT_SIZE, archive_file, faces_value, server_functions
from app.jobs import Jobs
from app.library import EMBEDDED_KEY
from app.pace import Kind, Pace
from app.studio import Studio
from app.theme import Trigger, asked
from app.uploads import Upload, discard
from app.visitors import sign_in_works, visitor_of
from ganime.config import RECIPES, SCRATCH
from ganime.errors import GanimeError
from ganime.pictures import SUFFIXES

LOADED = "loaded"
STARTS = [("Embedded model", EMBEDDED_KEY), ("Model named above", LOADED), ("Scratch", SCRATCH)]
SIZES, MINUTES = [64, 32], 15
PROGRESS = gr.Progress()  # as a handler's default, the mark by which Gradio hands over a bar of its own
OFF = """\
## Train on your own faces

{why} On your own machine, the command line takes a folder or a zip of faces and writes a model that this page can show:

```text
python -m ganime train my-faces/ \\
  --out runs/mine --minutes 60
GANIME_MODEL=runs/mine python -m app
```
"""
INTRODUCTION = """\
## Train on your own faces

Give some hundreds of faces, choose for how long, and watch. The faces and the model are yours alone: a key that only
this browser keeps opens them, and after a while without use they are deleted.
"""
LOGIN = "On this page only those who have signed in may train."
NO_LOGIN = (
    f"{LOGIN} There is no way to sign in here: that takes a Hugging Face Space with `hf_oauth: true` in its README."
)
TRYING = "Trying for some seconds how fast this machine learns from your faces…"
# A link to a job carries its key. It is taken out of the address at once and kept where job.js keeps all keys.
TAKE_LINK = """() => {
  const found = [location.hash.slice(1), location.search.slice(1)]
    .map((text) => new URLSearchParams(text).get("job")).find(Boolean);
  if (!found) return;
  const search = new URLSearchParams(location.search);
  search.delete("job");
  history.replaceState(null, "", location.pathname + (search.size ? `?${search}` : ""));
  let kept = [];
  try { kept = JSON.parse(localStorage.getItem("ganime-jobs")) || []; } catch { kept = []; }
  if (!Array.isArray(kept)) kept = [];
  localStorage.setItem("ganime-jobs", JSON.stringify([
    { key: found, name: "" }, ...kept.filter((job) => job && job.key !== found),
  ]));
  [...document.querySelectorAll("[role=tab]")].find((tab) => tab.textContent.trim() === "Train")?.click();
}"""


def build(studio: Studio, model_key: gr.State, opened: Trigger) -> gr.HTML | None:
    """The tab's components, wired to the jobs; returns the job's view, whose event `use` names a job by its key.

    model_key: which model is loaded, to begin from. opened: fires when a visitor opens the page. Returns None where
    nobody trains, and the tab says why.
    """
    jobs = studio.jobs
    if jobs is None:
        gr.Markdown(OFF.format(why=studio.no_jobs))
        return None
    settings = studio.settings
    gr.Markdown(INTRODUCTION)
    if settings.training == "login":
        gr.Markdown(LOGIN if sign_in_works() else NO_LOGIN)
        if sign_in_works():
            gr.LoginButton(elem_id="sign-in", size="md")
    draft, pace = gr.State(""), Pace(jobs)
    with gr.Row():
        files = gr.File(
            label=f"Faces: a zip or pictures, up to {settings.upload_megabytes:,} MB",
            file_count="multiple",
            file_types=[*sorted(SUFFIXES), ".zip"],
            height=150,
            scale=4,
            min_width=260,
            elem_id="faces-files",
        )
        folder = gr.UploadButton("Or a whole folder", file_count="directory", min_width=150, elem_id="faces-folder")
    for source in (files, folder):
        source.preprocess = uploads_of  # pyright: ignore[reportAttributeAccessIssue]
    faces = component("faces", [], "faces")
    with gr.Row(elem_classes="controls", equal_height=True):
        start = gr.Radio(STARTS, value=EMBEDDED_KEY, label="Start from", min_width=320, scale=3)
        minutes = forgiving(
            gr.Slider(
                min(1, settings.job_minutes),
                settings.job_minutes,
                value=min(MINUTES, settings.job_minutes),
                step=1,
                label="Minutes",
                min_width=180,
                scale=2,
            )
        )
        name = gr.Textbox(label="Name of the model", value="My faces", max_length=60, min_width=160, scale=2)
    with gr.Accordion("Advanced", open=False), gr.Row():
        info = "modern: hinge loss, averaged weights. classic: the DCGAN of 2015."
        recipe = gr.Radio(sorted(RECIPES, reverse=True), value="modern", label="Recipe", info=info)
        size = gr.Radio(SIZES, value=SIZES[0], label="Image size, px", info="When the model starts from scratch.")
    estimate = gr.HTML("", elem_id="estimate")
    begin = gr.Button("Start training", variant="primary", elem_id="start-training")
    job = component("job", [*server_functions(jobs), answer_with_file(archive_file(jobs))], "job")

    owner.build(jobs)

    def asker(request: gr.Request, profile: gr.OAuthProfile | None) -> Visitor:
        return visitor_of(request, profile, settings.proxies)

    def take(
        uploads: list[Upload] | None,
        old: str,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        progress: gr.Progress = PROGRESS,
    ) -> Any:
        """Uploaded files become a draft in place of the one before."""
        if not uploads:
            return [old, gr.skip(), gr.skip(), gr.skip()]
        try:
            key = jobs.draft(uploads, asker(request, profile))
        except GanimeError as error:
            return [old, failed(error), None, gr.skip()]
        finally:
            discard(uploads)
        forget(jobs, old)
        try:
            return [key, look(jobs, key, progress), None, current(key)]
        except GanimeError as error:
            forget(jobs, key)
            return ["", failed(error), None, current("")]

    def kind(model: str, start: str, recipe: str, size: int) -> tuple[Kind, Path | None]:
        """The recipe and the image size that is trained, which a model to begin from decides, and its folder."""
        if start == SCRATCH:
            return (str(recipe), int(size)), None
        found = studio.library.checkpoint(model if start == LOADED else EMBEDDED_KEY)
        return (str(recipe), found.generator.config.image_size), found.folder

    def expect(draft: str, model: str, start: str, minutes: float, recipe: str, size: int) -> Iterator[str]:
        """How many images these minutes will do for; where nothing is known yet, that is tried on the faces."""
        try:
            chosen, _ = kind(model, start, recipe, size)
            if draft and pace.known(chosen) is None:
                yield plain(TRYING)
                pace.tried(draft, chosen)
            yield plain(pace.estimate(chosen, minutes))
        except GanimeError as error:
            yield plain(str(error))

    def submit(
        draft: str,
        model: str,
        start: str,
        minutes: float,
        name: str,
        recipe: str,
        size: int,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
    ) -> Any:
        try:
            if not draft:
                raise JobError("There are no faces to train on yet. Give some above first.")
            (recipe, size), folder = kind(model, start, recipe, size)
            wanted = Plan(recipe, size, float(minutes), name=str(name), start=folder)
            jobs.submit(draft, wanted, asker(request, profile))
        except GanimeError as error:
            return [draft, failed(error), gr.skip()]
        return ["", {"chosen": draft, "name": str(name)[:60], "time": time.time()}, {}]

    def resume(event: gr.EventData, request: gr.Request, profile: gr.OAuthProfile | None) -> dict[str, Any]:
        key, minutes = asked(event, "key"), asked(event, "minutes")
        try:
            if not minutes.isdecimal():
                raise JobError(f"Give whole minutes, such as {MINUTES}; got {minutes or 'nothing'}.")
            jobs.resume(key, asker(request, profile), float(minutes))
        except GanimeError as error:
            return failed(error)
        return {"chosen": key, "time": time.time()}

    def reconsider(event: gr.EventData, old: str, progress: gr.Progress = PROGRESS) -> Any:
        """Faces that were uploaded earlier, or whose job was taken out of the queue, are to be trained on after all."""
        key = asked(event, "key")
        try:
            return [key, look(jobs, key, progress), current(key)]
        except GanimeError as error:
            return [old, failed(error), gr.skip()]

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2}
    aside: dict[str, Any] = private | {"show_progress": "hidden"}
    plan = [draft, model_key, start, minutes, recipe, size]
    for source in (files, folder):
        taken = source.upload(take, [source, draft], [draft, faces, source, job], **private)
        taken.then(expect, plan, estimate, **aside)
    changes = [start.change, minutes.change, recipe.change, size.change]
    gr.on(changes, expect, plan, estimate, trigger_mode="always_last", **aside)
    begin.click(submit, [*plan[:4], name, *plan[4:]], [draft, job, faces], **private)
    job.resume(resume, None, job, **private)
    job.reconsider(reconsider, draft, [draft, faces, job], **private).then(expect, plan, estimate, **aside)
    opened(expect, plan, estimate, **aside)
    opened(None, None, None, js=TAKE_LINK, api_visibility="private")
    return job


def current(key: str) -> dict[str, Any]:
    """For job.js: the draft that the form above is about, "" for none; its key is kept, and it is not listed below."""
    return {"draft": key, "time": time.time()}


def plain(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def uploads_of(payload: ListFiles | FileData | None) -> list[Upload]:
    """Uploaded files with the names that their visitor gave them; Gradio itself hands over changed ones."""
    files = payload.root if isinstance(payload, ListFiles) else [payload] if payload else []
    return [Upload(Path(file.path), file.orig_name or Path(file.path).name) for file in files if file.path]


def look(jobs: Jobs, key: str, progress: gr.Progress) -> dict[str, Any]:
    def tell(done: int, of: int) -> None:
        progress((done, of), desc="Reading the faces", unit="faces")

    with told("The faces could not be read"):
        return faces_value(jobs.sources(key, AUDIT_SIZE), tell)


def forget(jobs: Jobs, key: str) -> None:
    """Delete a draft that nobody will train on; one that has been submitted or is gone stays as it is."""
    try:
        if key and jobs.status(key).state == "draft":
            jobs.delete(key)
    except JobError:
        return  # it is gone already, or will go as too old


def failed(error: GanimeError) -> dict[str, Any]:
    """An error as a component shows it; the time makes the same error twice two values."""
    return {"error": str(error), "time": time.time()}
