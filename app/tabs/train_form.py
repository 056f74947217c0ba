"""The form of the Train tab: the faces, the model to begin from, its image size, and the training time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ListFiles
from pydantic import ModelWrapValidatorHandler, model_validator

from app.components.bridge import ClampedSlider, ServerFunction, component, lenient, remembered, variant
from app.errors import JobError, visitor_text
from app.faces.library import EMBEDDED_KEY, LOADED
from app.jobs.arrivals import Upload, all_uploads
from app.jobs.limits import DEFAULT_SIDE
from app.settings import Settings
from app.visitors import sign_in_works
from ganime.config import RECIPES, SCRATCH

START_CHOICES = [("Embedded model", EMBEDDED_KEY), ("The model in use", LOADED), ("From scratch", SCRATCH)]
CROP_CHOICES = [("Off", "none"), ("Where needed", "faces")]
SIZE_CHOICES = [32, 64, 128]  # px; larger models take a GPU and the command line
DEFAULT_MINUTES = 15
HEADING = "## Train on your own faces"
INTRODUCTION = """\
Add a few hundred faces, choose how long to train, and watch. Your faces and your model are private: only this browser
has the key to them, besides the owner of this page.
"""
NO_FACES = "There are no faces to train on yet. Add some under “1. Your faces” and wait until they are shown."
KEPT = "A finished job is kept for at least {hours:g} hours; after that it may be deleted when the disk is full."
LOGIN = "Only visitors who are signed in may train on this page."
NO_LOGIN = (
    f"{LOGIN} There is no way to sign in here yet. The owner can enable it on a Hugging Face Space, with "
    "`hf_oauth: true` in the front matter of its README, or let everyone train with `GANIME_TRAINING=open`."
)


@dataclass(frozen=True, eq=False)
class Form:
    """The components of the form.

    body: contains all others; hidden from visitors who may not train
    draft: key of the uploaded faces
    examples, tray: buttons that take example faces, or those of the visitor's tray, instead of files
    crop: whether faces are cut out of the pictures
    faces: shows what was uploaded
    start, size: model to begin from, and image size in px
    estimate: shows how many images fit into the training time
    refusal: says why a job was not started
    on_hub: begins the training on the visitor's account on the hub
    """

    body: gr.Column
    draft: gr.Textbox
    files: gr.File
    folder: gr.UploadButton
    examples: gr.Button
    tray: gr.Button
    crop: gr.Radio
    faces: gr.HTML
    start: gr.Radio
    size: gr.Radio
    minutes: gr.Slider
    images: gr.Number
    name: gr.Textbox
    recipe: gr.Radio
    estimate: gr.HTML
    begin: gr.Button
    refusal: gr.HTML
    on_hub: gr.HTML


def build_form(settings: Settings, on_hub: list[ServerFunction]) -> Form:
    """Build the components of the form, from top to bottom. on_hub: server functions of on-hub.js."""
    gr.Markdown(HEADING)
    if settings.training == "login":
        gr.Markdown(LOGIN if sign_in_works() else NO_LOGIN)
        if sign_in_works():
            gr.LoginButton(elem_id="sign-in", size="md")
    with gr.Column(visible=settings.training == "open", elem_id="train-form") as body:
        return build_fields(settings, on_hub, body)


def build_fields(settings: Settings, on_hub: list[ServerFunction], body: gr.Column) -> Form:
    """Build the components inside `body`: the faces on one side, and how to train on the other."""
    gr.Markdown(INTRODUCTION)
    with gr.Row(elem_id="train-steps"):
        with gr.Column(scale=3, min_width=320, elem_classes="train-step"):
            fields = build_sources(settings)
        with gr.Column(scale=2, min_width=320, elem_classes="train-step"):
            fields |= build_plan(settings)
            fields["estimate"] = gr.HTML("", elem_id="estimate")
            fields["begin"] = gr.Button("Start training", variant="primary", elem_id="start-training")
            fields["refusal"] = gr.HTML("", elem_id="refusal")
            fields["on_hub"] = component("on-hub", on_hub, "on-hub", ("plan", "started"))
            gr.HTML(f"<p>{KEPT.format(hours=settings.keep_hours)}</p>", elem_id="kept")
    return Form(body=body, draft=remembered(""), **fields)


def build_sources(settings: Settings) -> dict[str, Any]:
    """Build the first step, where the faces come from and what they are; returns its components by field of Form."""
    gr.Markdown("### 1. Your faces")
    members = {
        "data_model": property(lambda self: LenientFiles, lambda self, model: None),
        "preprocess": lambda self, payload: uploads_of(payload, settings),
    }
    files = variant(gr.File, **members)(
        label=f"Pictures, a zip or a tar, up to {settings.upload_megabytes:,} MB",
        file_count="multiple",  # of any type: the server tells them apart by their contents
        height=150,
        elem_id="faces-files",
    )
    with gr.Row(elem_id="other-faces"):
        folder = variant(gr.UploadButton, **members)(
            "Choose a folder", file_count="directory", size="md", elem_id="faces-folder"
        )
        examples = gr.Button("Try it with 300 example faces", size="md", elem_id="example-faces")
        tray = gr.Button("Use my tray", size="md", elem_id="tray-faces")
    faces = component("faces", [], "faces")
    crop = lenient(gr.Radio, "none")(
        CROP_CHOICES,
        value="none",
        label="Crop to the faces",
        info="Cuts the faces out of whole drawings. Pictures that are faces already stay as they are.",
        elem_id="crop-faces",
    )
    return {"files": files, "folder": folder, "examples": examples, "tray": tray, "crop": crop, "faces": faces}


def build_plan(settings: Settings) -> dict[str, Any]:
    """Build the second step, how to train; returns its components by field of Form."""
    gr.Markdown("### 2. Your model")
    longest = settings.job_minutes
    minutes = ClampedSlider(
        min(1, longest),
        longest,
        value=min(DEFAULT_MINUTES, longest),
        step=1,
        label="Minutes of training",
        info="You can stop at any time and continue later.",
    )
    name = lenient(gr.Textbox, "")(label="Name of the model", value="My faces", max_length=60)
    with gr.Accordion("More choices", open=False, elem_id="more-choices"):
        info = "Starting from a model needs less time and fewer faces."
        start = lenient(gr.Radio, EMBEDDED_KEY)(START_CHOICES, value=EMBEDDED_KEY, label="Start from", info=info)
        info = "The model in use keeps its size."
        size = lenient(gr.Radio, DEFAULT_SIDE)(SIZE_CHOICES, value=DEFAULT_SIDE, label="Image size, px", info=info)
        images = lenient(gr.Number, 0)(0, label="Stop after this many images", info="0 = no limit", precision=0)
        info = "modern: hinge loss, averaged weights. classic: the DCGAN of 2015."
        recipe = lenient(gr.Radio, "modern")(
            sorted(RECIPES, reverse=True), value="modern", label="Training recipe", info=info
        )
    plan: dict[str, Any] = {"start": start, "size": size, "images": images, "name": name, "recipe": recipe}
    return plan | {"minutes": minutes}


class LenientFiles(ListFiles):
    """Uploaded files; none for a value that the page never sends, which Gradio would log with a traceback."""

    @model_validator(mode="wrap")
    @classmethod
    def accept(cls, value: Any, validate: ModelWrapValidatorHandler[LenientFiles]) -> LenientFiles:
        """The files, or none."""
        try:
            return validate(value)
        except Exception:  # of any kind, as in `lenient`
            return cls(root=[])


def uploads_of(payload: ListFiles | FileData | None, settings: Settings) -> list[Upload]:
    """Return uploaded files with the visitor's names for them, which Gradio's own preprocessing changes.

    Raises gr.Error for a file that was not uploaded to this page for training.
    """
    files = payload.root if isinstance(payload, ListFiles) else [payload] if payload else []
    try:
        return all_uploads([(file.path, file.orig_name) for file in files], settings)
    except JobError as error:
        raise gr.Error(visitor_text(error), print_exception=False) from error
