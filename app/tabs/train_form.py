"""The form of the Train tab: which faces to learn from, from which model on, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from app.components.bridge import component, forgiving
from app.faces.library import EMBEDDED_KEY
from app.jobs.uploads import Upload, arrivals
from app.settings import Settings
from app.visitors import sign_in_works
from ganime.config import RECIPES, SCRATCH
from ganime.faces.reading import SUFFIXES

LOADED = "loaded"
STARTS = [("Embedded model", EMBEDDED_KEY), ("Model named above", LOADED), ("Scratch", SCRATCH)]
SIZES, MINUTES = [64, 32], 15
HEADING = "## Train on your own faces"
INTRODUCTION = """\
Give some hundreds of faces, choose for how long, and watch. The faces and the model are yours: nobody but
whoever runs this page gets at them without the key, which only this browser keeps. Where the disk runs short, what
ended longest ago is deleted, at the soonest {hours:g} hours after it ended.
"""
LOGIN = "On this page only those who have signed in may train."
NO_LOGIN = (
    f"{LOGIN} There is no way to sign in here yet. The owner can make one, on a Hugging Face Space, with "
    "`hf_oauth: true` in the front matter of its README, or let everyone train with `GANIME_TRAINING=open`."
)


@dataclass(frozen=True, eq=False)
class Form:
    """What a visitor fills in. draft: the key of the faces; faces: shows what they are; estimate: what to expect.

    body: all that is for those who may train; hidden until it is known who asks, where that takes a login.
    """

    body: gr.Column
    draft: gr.State
    files: gr.File
    folder: gr.UploadButton
    faces: gr.HTML
    start: gr.Radio
    minutes: gr.Slider
    images: gr.Number
    name: gr.Textbox
    recipe: gr.Radio
    size: gr.Radio
    estimate: gr.HTML
    begin: gr.Button


def build(settings: Settings) -> Form:
    """The components of the form, from top to bottom."""
    gr.Markdown(HEADING)
    if settings.training == "login":
        gr.Markdown(LOGIN if sign_in_works() else NO_LOGIN)
        if sign_in_works():
            gr.LoginButton(elem_id="sign-in", size="md")
    with gr.Column(visible=settings.training == "open") as body:
        return fields(settings, body)


def fields(settings: Settings, body: gr.Column) -> Form:
    """What `body` holds."""
    gr.Markdown(INTRODUCTION.format(hours=settings.keep_hours))
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
        source.preprocess = partial(uploads_of, folder=arrivals(settings))  # pyright: ignore[reportAttributeAccessIssue]
    faces = component("faces", [], "faces")
    with gr.Row(elem_classes="controls", equal_height=True):
        start = gr.Radio(STARTS, value=EMBEDDED_KEY, label="Start from", min_width=320, scale=3)
        name = gr.Textbox(label="Name of the model", value="My faces", max_length=60, min_width=160, scale=2)
    with gr.Row(elem_classes="controls", equal_height=True):
        most = settings.job_minutes
        minutes = gr.Slider(
            min(1, most), most, value=min(MINUTES, most), step=1, label="Minutes", min_width=180, scale=3
        )
        label = "Or until so many images are seen"
        images = gr.Number(0, label=label, info="0: by time alone.", precision=0, min_width=160, scale=2)
    with gr.Accordion("Advanced", open=False), gr.Row():
        info = "modern: hinge loss, averaged weights. classic: the DCGAN of 2015."
        recipe = gr.Radio(sorted(RECIPES, reverse=True), value="modern", label="Recipe", info=info)
        size = gr.Radio(SIZES, value=SIZES[0], label="Image size, px", info="When the model starts from scratch.")
    estimate = gr.HTML("", elem_id="estimate")
    begin = gr.Button("Start training", variant="primary", elem_id="start-training")
    draft, minutes = gr.State(""), forgiving(minutes)
    return Form(body, draft, files, folder, faces, start, minutes, images, name, recipe, size, estimate, begin)


def uploads_of(payload: ListFiles | FileData | None, folder: Path) -> list[Upload]:
    """Uploaded files with the names that their visitor gave them; Gradio itself hands over changed ones.

    Raises gr.Error for a path that is not one of an upload, all of which lie in `folder`.
    """
    files = payload.root if isinstance(payload, ListFiles) else [payload] if payload else []
    if any(folder.resolve() not in Path(file.path).resolve().parents for file in files):
        raise gr.Error("One of these files was not uploaded to this page for training. Upload it again.")
    return [Upload(Path(file.path), file.orig_name or Path(file.path).name) for file in files]
