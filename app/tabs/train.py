"""The Train tab: faces in, a few settings, and a job to watch until its model can be used on the other tabs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from app.components.bridge import answer_with_file, component, page_call
from app.components.theme import Trigger, asked
from app.errors import JobError, explain_disk_errors
from app.faces.library import EMBEDDED_KEY
from app.faces.studio import Studio
from app.jobs.limits import Plan, may_train
from app.jobs.service import Jobs, start_name
from app.jobs.speed import Kind, Pace
from app.jobs.uploads import Upload, discard
from app.tabs import owner, train_form
from app.tabs.job_view import AUDIT_SIZE, archive_file, faces_value, server_functions
from app.tabs.train_form import LOADED, MINUTES, Form
from app.visitors import Visitor, visitor_of
from ganime.config import SCRATCH
from ganime.errors import GanimeError

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
TRYING = "Trying for some seconds how fast this machine learns from your faces…"


class Desk:
    """What the tab does when a visitor asks for it: every method but `kind` is an event's handler."""

    def __init__(self, studio: Studio, jobs: Jobs) -> None:
        self.studio, self.jobs, self.pace = studio, jobs, Pace(jobs)

    def asker(self, request: gr.Request, profile: gr.OAuthProfile | None) -> Visitor:
        return visitor_of(request, profile, self.jobs.settings.proxies)

    def admit(self, request: gr.Request, profile: gr.OAuthProfile | None) -> Any:
        """The form is shown to who may train."""
        return gr.Column(visible=may_train(self.asker(request, profile), self.jobs.settings))

    def take(
        self,
        uploads: list[Upload] | None,
        old: str,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        progress: gr.Progress = PROGRESS,
    ) -> Any:
        """Uploaded files become a draft in place of the one before, which stays where they are refused."""
        kept = " The faces that you gave before are still there." if old else ""
        if not uploads:
            return [old, gr.skip(), gr.skip(), gr.skip()]
        try:
            key = self.jobs.draft(uploads, self.asker(request, profile), instead=old)
        except GanimeError as error:
            return [
                old,
                failed(error, kept),
                None,
                gr.skip(),
            ]
        finally:
            discard(uploads)
        try:
            found = look(self.jobs, key, progress)
        except GanimeError as error:
            forget(self.jobs, key)
            return [old, failed(error, kept), None, gr.skip()]
        forget(self.jobs, old)
        return [key, found, None, current(key, gone=old)]

    def kind(self, model: str, start: str, recipe: str, size: int) -> tuple[Kind, Path | None]:
        """What is trained, whose image size a model to begin from decides, and the folder of that model."""
        if start == SCRATCH:
            return (str(recipe), int(size), ""), None
        found = self.studio.library.trainable(model if start == LOADED else EMBEDDED_KEY)
        return (str(recipe), found.generator.config.image_size, start_name(found.name)), found.folder

    def expect(
        self, draft: str, model: str, start: str, minutes: float, images: int | None, recipe: str, size: int
    ) -> Iterator[str]:
        """How many images these minutes will do for; where nothing is known yet, that is tried on the faces."""
        try:
            chosen, folder = self.kind(model, start, recipe, size)
            if draft and self.pace.known(chosen) is None:
                yield plain(TRYING)
                self.pace.tried(draft, chosen, folder)
            yield plain(self.pace.estimate(chosen, minutes, images or 0))
        except GanimeError as error:
            yield plain(str(error))

    def submit(
        self,
        draft: str,
        model: str,
        start: str,
        minutes: float,
        images: int | None,
        recipe: str,
        size: int,
        name: str,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
    ) -> Any:
        """The faces are queued to be trained on."""
        try:
            if not draft:
                raise JobError("There are no faces to train on yet. Give some above first.")
            (recipe, size, _), folder = self.kind(model, start, recipe, size)
            wanted = Plan(recipe, size, float(minutes), images or 0, str(name), folder)
            self.jobs.submit(draft, wanted, self.asker(request, profile))
        except GanimeError as error:
            return [draft, failed(error), gr.skip()]
        return ["", {"chosen": draft, "name": str(name)[:60], "time": time.time()}, {}]

    def resume(self, event: gr.EventData, request: gr.Request, profile: gr.OAuthProfile | None) -> dict[str, Any]:
        """An ended job is queued to go on: with what was left of its minutes, or for those that are given."""
        key, minutes = asked(event, "key"), asked(event, "minutes")
        try:
            if minutes and not minutes.isdecimal():
                raise JobError(f"Give whole minutes, such as {MINUTES}; got {minutes[:20]}.")
            self.jobs.resume(key, self.asker(request, profile), float(minutes) if minutes else None)
        except GanimeError as error:
            return failed(error)
        return {"chosen": key, "time": time.time()}

    def reconsider(self, event: gr.EventData, old: str, progress: gr.Progress = PROGRESS) -> Any:
        """Faces that were uploaded earlier, or whose job was taken out of the queue, are to be trained on after all."""
        key = asked(event, "key")
        try:
            return [key, look(self.jobs, key, progress), current(key)]
        except GanimeError as error:
            return [old, failed(error), gr.skip()]


def build(studio: Studio, model_key: gr.State, opened: Trigger) -> gr.HTML | None:
    """The tab's components, wired to the jobs; returns the job's view, whose event `use` names a job by its key.

    model_key: which model is loaded, to begin from. opened: fires when a visitor opens the page. Returns None where
    nobody trains, and the tab says why.
    """
    jobs = studio.jobs
    if jobs is None:
        gr.Markdown(OFF.format(why=studio.no_jobs))
        return None
    form, desk = train_form.build(studio.settings), Desk(studio, jobs)
    functions = [*server_functions(jobs), answer_with_file(archive_file(jobs))]
    job = component("job", functions, "job", ("use", "resume", "reconsider", "gone"))
    owner.build(jobs)
    wire(form, desk, job, model_key, opened)
    return job


def wire(form: Form, desk: Desk, job: gr.HTML, model_key: gr.State, opened: Trigger) -> None:
    """Which event is answered by what."""
    private: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2}
    aside = private | {"show_progress": "hidden", "trigger_mode": "always_last", "concurrency_limit": 4}
    plan: list[Any] = [form.draft, model_key, form.start, form.minutes, form.images, form.recipe, form.size]
    for source in (form.files, form.folder):
        source.upload(desk.take, [source, form.draft], [form.draft, form.faces, source, job], **private)
    # One event for all that the estimate hangs on, so that one is made at a time and the last one is what shows.
    gr.on([opened, *(field.change for field in plan)], desk.expect, plan, form.estimate, **aside)
    form.begin.click(desk.submit, [*plan, form.name], [form.draft, job, form.faces], **private)
    job.resume(desk.resume, None, job, **private)
    job.reconsider(desk.reconsider, form.draft, [form.draft, form.faces, job], **private)
    opened(desk.admit, None, form.body, **aside)
    # A link carries the key behind its `#`, which browsers send to no server.
    opened(None, None, None, js=page_call("takeJobLinks"), api_visibility="private")


def current(key: str, gone: str = "") -> dict[str, Any]:
    """For job.js: the draft that the form above is about, "" for none; its key is kept, and it is not listed below.

    gone: the draft in whose place it is.
    """
    return {"draft": key, "gone": gone, "time": time.time()}


def plain(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def look(jobs: Jobs, key: str, progress: gr.Progress) -> dict[str, Any]:
    def tell(done: int, of: int) -> None:
        progress((done, of), desc="Reading the faces", unit="faces")

    with explain_disk_errors("The faces could not be read"):
        return faces_value(jobs.sources(key, AUDIT_SIZE), tell)


def forget(jobs: Jobs, key: str) -> None:
    """Delete a draft that nobody will train on; one that has been submitted or is gone stays as it is."""
    try:
        if key and jobs.status(key).state == "draft":
            jobs.delete(key)
    except JobError:
        return  # it is gone already, or will go as too old


def failed(error: GanimeError, more: str = "") -> dict[str, Any]:
    """An error as a component shows it, with more words; the time makes the same error twice two values."""
    return {"error": f"{error}{more}", "time": time.time()}
