"""The Train tab: upload faces, fill in a form, and watch a job until its model can be used on the other tabs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from app.components.bridge import (
    Door,
    Trigger,
    component,
    event_text,
    expected_errors,
    file_function,
    gradio_error,
    in_turns,
    page_call,
)
from app.errors import JobError, explain_disk_errors, visitor_text
from app.faces.examples import Examples, tray_upload
from app.faces.studio import Studio
from app.jobs import speed
from app.jobs.arrivals import Upload, delete_uploads
from app.jobs.limits import TrainingPlan, check_minutes, check_visitor, may_train
from app.jobs.service import Jobs
from app.jobs.store import DRAFT
from app.loading import safe_model_name
from app.tabs import on_hub, train_form
from app.tabs.job_view import archive_file, faces_value, job_functions
from app.tabs.publish import publish_functions
from app.tabs.train_form import DEFAULT_MINUTES, Form
from app.visitors import Visitor, visitor_of
from ganime.errors import GanimeError

EXAMPLES = "All of them have red hair, so that you see the model change."
PROGRESS_BAR = gr.Progress()  # Gradio replaces a handler's default of this type by the event's bar
OFF = """\
## Train on your own faces

{why} On your own machine, the command line takes a folder or a zip of faces and writes a model that this page can show:

```text
python -m ganime train my-faces/ \\
  --out runs/mine --minutes 60
GANIME_MODEL=runs/mine python -m app
```
"""


class TrainHandlers:
    """The event handlers of the tab."""

    def __init__(self, studio: Studio, jobs: Jobs) -> None:
        self.studio, self.jobs, self.examples = studio, jobs, Examples(studio)

    def visitor(self, request: gr.Request, profile: gr.OAuthProfile | None) -> Visitor:
        """Return the visitor who sent an event."""
        return visitor_of(request, profile, self.jobs.settings.proxies)

    def show_form(self, request: gr.Request, profile: gr.OAuthProfile | None) -> Any:
        """Show the form to visitors who may train."""
        return gr.Column(visible=may_train(self.visitor(request, profile), self.jobs.settings))

    def take_files(
        self,
        files: list[Upload] | None,
        old: str,
        model: str,
        start: str,
        size: int,
        crop: str,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        progress: gr.Progress = PROGRESS_BAR,
    ) -> Any:
        """Make a draft of uploaded files, in place of the draft `old`; that one stays if the files are rejected.

        model, start, size, crop: values of the form; the faces are decoded at the size at which they will be trained
        """
        if not files:
            return [old, gr.skip(), None, gr.skip()]
        try:
            draft, faces, job = self.draft(files, old, (start, size, model), crop, request, profile, progress)
        finally:
            delete_uploads(files)
        return [draft, faces, None, job]

    def take_examples(
        self,
        old: str,
        model: str,
        start: str,
        size: int,
        crop: str,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        progress: gr.Progress = PROGRESS_BAR,
    ) -> Any:
        """Make a draft of example faces, which the embedded model draws the first time; see `take_files`."""
        try:
            check_visitor(self.visitor(request, profile), self.jobs.settings)
            with explain_disk_errors("The example faces could not be drawn"):
                upload = self.examples.upload(lambda done, total: show_bar(progress, done, total, "Drawing examples"))
        except GanimeError as error:
            return [old, error_value(error), gr.skip()]
        return self.draft([upload], old, (start, size, model), crop, request, profile, progress, EXAMPLES)

    def take_tray(
        self,
        value: dict[str, Any],
        old: str,
        model: str,
        start: str,
        size: int,
        crop: str,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        progress: gr.Progress = PROGRESS_BAR,
    ) -> Any:
        """Make a draft of the faces in the visitor's tray; see `take_files`.

        value: contains the recipes, see page.js
        """
        recipes = value.get("tray") if isinstance(value, dict) else None
        texts = [text for text in recipes if isinstance(text, str)] if isinstance(recipes, list) else []
        try:
            check_visitor(self.visitor(request, profile), self.jobs.settings)
            with explain_disk_errors("The faces of the tray could not be drawn"):
                upload, remark = tray_upload(self.studio, texts, model)
        except GanimeError as error:
            return [old, error_value(error), gr.skip()]
        try:
            return self.draft([upload], old, (start, size, model), crop, request, profile, progress, remark)
        finally:
            delete_uploads([upload])

    def draft(
        self,
        files: list[Upload],
        old: str,
        beginning: tuple[str, int, str],
        crop: str,
        request: gr.Request,
        profile: gr.OAuthProfile | None,
        progress: gr.Progress,
        remark: str = "",
    ) -> list[Any]:
        """Make a draft of files in place of the draft `old`; return its key and what faces.js and job.js show.

        beginning: start, image size and model key, see `Library.beginning`. crop: one of `ganime.config.CROPS`.
        remark: about the faces.
        """
        key = ""
        try:
            _, image_size = self.studio.library.beginning(*beginning)
            key = self.jobs.draft(files, self.visitor(request, profile), image_size, old, crop)
            value = read_draft(self.jobs, key, progress, remark)
        except GanimeError as error:
            delete_draft(self.jobs, key)
            kept = " The faces that you added before are still there." if old else ""
            return [old, error_value(error, kept), gr.skip()]
        delete_draft(self.jobs, old)
        return [key, value, draft_value(key, gone=old)]

    def estimate(
        self,
        draft: str,
        model: str,
        start: str,
        minutes: float,
        images: int | None,
        recipe: str,
        size: int,
        request: gr.Request,
    ) -> list[str]:
        """Describe, as HTML, how many images fit into the plan, and how often that is each face of the draft.

        What was said of the plan before the change is taken away.
        """
        try:
            check_minutes(minutes, self.jobs.settings)
            folder, image_size = self.studio.library.beginning(start, size, model)
        except GanimeError as error:
            return [paragraph(visitor_text(error)), ""]
        name = safe_model_name(folder.name) if folder else ""
        rate = speed.images_per_second(self.jobs, str(recipe), image_size, name)
        faces = 0
        with suppress(JobError):  # no faces yet
            faces = self.jobs.get(draft).faces if draft else 0
        after = speed.seconds_after(self.jobs, image_size)
        return [paragraph(speed.estimate(rate, minutes, images or 0, faces, after)), ""]

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
        """Queue the draft for training."""
        try:
            if not draft:
                raise JobError(train_form.NO_FACES)
            folder, image_size = self.studio.library.beginning(start, size, model)
            plan = TrainingPlan(str(recipe), image_size, minutes, images or 0, str(name), folder)
            self.jobs.submit(draft, plan, self.visitor(request, profile))
        except GanimeError as error:
            return [draft, gr.skip(), gr.skip(), f'<p class="alert" role="alert">{escape(visitor_text(error))}</p>']
        return ["", {"chosen": draft, "name": str(name)[:60], "time": time.time()}, {}, ""]

    def started(self, event: gr.EventData, draft: str) -> Any:
        """Show a job that was started on the visitor's account, whose faces leave the form if they are still there."""
        key = event_text(event, "key")
        value = {"chosen": key, "time": time.time()}
        return ["", value, {}] if draft == key else [draft, value, gr.skip()]

    def resume(self, event: gr.EventData, request: gr.Request, profile: gr.OAuthProfile | None) -> dict[str, Any]:
        """Queue an ended job to continue: for the minutes in the event, or for the minutes it has left."""
        key, minutes = event_text(event, "key"), event_text(event, "minutes")
        try:
            if minutes and not minutes.isdecimal():
                raise JobError(f"Give whole minutes, such as {DEFAULT_MINUTES}; got {minutes[:20]}.")
            self.jobs.resume(key, self.visitor(request, profile), float(minutes) if minutes else None)
        except GanimeError as error:
            return error_value(error)
        return {"chosen": key, "time": time.time()}

    def finish(self, event: gr.EventData, request: gr.Request, profile: gr.OAuthProfile | None) -> dict[str, Any]:
        """Queue an ended job to fit a clarity and sliders to its model."""
        key = event_text(event, "key")
        try:
            self.jobs.finish(key, self.visitor(request, profile))
        except GanimeError as error:
            return error_value(error)
        return {"chosen": key, "time": time.time()}

    def reopen_draft(
        self, event: gr.EventData, old: str, request: gr.Request, progress: gr.Progress = PROGRESS_BAR
    ) -> Any:
        """Put an earlier draft into the form again, or a job that was taken out of the queue."""
        key = event_text(event, "key")
        try:
            faces, job = read_draft(self.jobs, key, progress), draft_value(key) | {"reopened": True}
            return [key, faces, job, self.jobs.folder(key).crop]
        except GanimeError as error:
            return [old, error_value(error), gr.skip(), gr.skip()]

    def change_crop(self, draft: str, crop: str, request: gr.Request, progress: gr.Progress = PROGRESS_BAR) -> Any:
        """Read the pictures of the draft again, with or without cropping; if that fails, it stays as it was."""
        if not draft:
            return [gr.skip(), gr.skip()]
        before = crop
        try:
            before = self.jobs.folder(draft).crop
            self.jobs.set_crop(draft, crop)
            return [read_draft(self.jobs, draft, progress), gr.skip()]
        except GanimeError as error:
            with suppress(JobError):  # deleted, or submitted meanwhile
                self.jobs.set_crop(draft, before)
            return [error_value(error), before]


def build(studio: Studio, model_key: gr.Textbox, opened: Trigger) -> None:
    """Build the tab, or say why nobody can train.

    model_key: key of the model that is loaded on the page
    opened: event that fires when a visitor opens the page
    """
    jobs = studio.jobs
    if jobs is None:
        gr.Markdown(OFF.format(why=studio.no_jobs))
        return
    form = train_form.build_form(studio.settings, on_hub.form_functions(studio, jobs))
    handlers = TrainHandlers(studio, jobs)
    archive = file_function(archive_file(jobs), studio.door(studio.limits.save))
    functions = [*job_functions(studio, jobs), *publish_functions(studio, jobs), archive]
    functions += on_hub.job_functions(studio, jobs)
    job = component("job", functions, "job", ("resume", "finish", "reconsider"))
    connect(form, handlers, job, model_key, opened)


def connect(form: Form, handlers: TrainHandlers, job: gr.HTML, model_key: gr.Textbox, opened: Trigger) -> None:
    """Connect events to their handlers, which wait for their turn, except those that only pass values on."""
    private: dict[str, Any] = {"api_visibility": "private"}
    reading: dict[str, Any] = private | {"show_progress_on": form.files}  # which is large enough for a bar
    aside: dict[str, Any] = private | {"show_progress": "hidden", "trigger_mode": "always_last"}
    studio = handlers.studio
    doors = map(studio.door, (studio.limits.look, studio.limits.save, studio.limits.reading))
    look, save, read = (partial(waiting, door) for door in doors)

    beginning = [form.draft, model_key, form.start, form.size, form.crop]
    drafted = [form.draft, form.faces, job]
    plan: list[Any] = [model_key, form.start, form.minutes, form.images, form.recipe, form.size]
    for source in (form.files, form.folder):
        outputs = [form.draft, form.faces, source, job]
        source.upload(read(handlers.take_files), [source, *beginning], outputs, **reading)
    form.examples.click(read(handlers.take_examples), beginning, drafted, **reading)
    form.tray.click(read(handlers.take_tray), [form.faces, *beginning], drafted, js=page_call("withTray"), **reading)
    # One event for everything that the estimate depends on, so that the last change is the one that is shown.
    fields = [form.draft, *plan]
    described = [form.estimate, form.refusal]
    gr.on([opened, *(field.change for field in fields)], look(handlers.estimate), fields, described, **aside)
    form.refusal.click(None, form.refusal, form.refusal, js=page_call("withoutMessage"), **private)
    begun = [form.draft, job, form.faces, form.refusal]
    # A model to begin from is copied.
    form.begin.click(save(handlers.submit), [form.draft, *plan, form.name], begun, **private)
    chosen = [form.draft, model_key, form.start, form.images, form.recipe, form.size, form.name]
    form.on_hub.plan(None, chosen, form.on_hub, js=page_call("planOnHub"), **private)
    form.on_hub.started(handlers.started, form.draft, [form.draft, job, form.faces], **private)
    job.resume(look(handlers.resume), None, job, **private)
    job.finish(look(handlers.finish), None, job, **private)
    job.reconsider(read(handlers.reopen_draft), form.draft, [*drafted, form.crop], **private)
    form.crop.input(read(handlers.change_crop), [form.draft, form.crop], [form.faces, form.crop], **reading)
    opened(handlers.show_form, None, form.body, **aside)
    # A link contains the key of a job behind its `#`, which browsers do not send to the server.
    opened(None, None, None, js=page_call("takeJobLinks"), api_visibility="private")


def waiting(door: Door, handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of an event, run in its turn; a visitor who would have to wait for long is told so instead."""
    return expected_errors(gradio_error)(in_turns(handler, door))


def draft_value(key: str, gone: str = "") -> dict[str, Any]:
    """Return what job.js needs about the draft in the form: its key, "" for none. gone: the draft it replaces."""
    return {"draft": key, "gone": gone, "time": time.time()}


def paragraph(text: str) -> str:
    """Return a text as an HTML paragraph."""
    return f"<p>{escape(text)}</p>"


def read_draft(jobs: Jobs, key: str, progress: gr.Progress, remark: str = "") -> dict[str, Any]:
    """Decode the faces of a draft and return what faces.js shows of them. Raises JobError or DataError."""

    def show_progress(done: int, total: int) -> None:
        show_bar(progress, done, total, "Reading the faces")

    return faces_value(*jobs.read_draft(key, show_progress), remark)


def show_bar(progress: gr.Progress, done: int, total: int, text: str) -> None:
    """Show Gradio's progress bar for work on faces."""
    progress((done, total), desc=text, unit="faces")


def delete_draft(jobs: Jobs, key: str) -> None:
    """Delete a draft, if the key opens one; a job that was submitted stays."""
    with suppress(JobError):  # deleted already, or it will be as an old draft
        if key and jobs.status(key).state == DRAFT:
            jobs.delete(key)


def error_value(error: GanimeError, more: str = "") -> dict[str, Any]:
    """Return an error as a component shows it; the time makes two equal errors two different values."""
    return {"error": f"{visitor_text(error)}{more}", "time": time.time()}
