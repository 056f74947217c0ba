"""The theme of the page, and the style sheets of what is not inside a component."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FONT = [gr.themes.Font(name) for name in ("system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")]
MONO = [gr.themes.Font(name) for name in ("ui-monospace", "Menlo", "Consolas", "monospace")]

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.rose,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_lg,
    font=FONT,
    font_mono=MONO,
).set(
    body_background_fill="#fdf9fa",
    body_background_fill_dark="#15121a",
    background_fill_secondary="#f8eef1",
    background_fill_secondary_dark="#231d2b",
    block_background_fill="#ffffff",
    block_background_fill_dark="#1d1824",
    body_text_color="#2a2230",
    body_text_color_dark="#f1eaf3",
    body_text_color_subdued="#5d5265",
    body_text_color_subdued_dark="#bdb2c6",
    block_info_text_color="#5d5265",
    block_info_text_color_dark="#bdb2c6",
    block_label_text_color="#4a3f52",
    block_label_text_color_dark="#d9cfe0",
    block_title_text_color="#2a2230",
    block_title_text_color_dark="#f1eaf3",
    block_border_color="#e3d3d9",
    block_border_color_dark="#463a52",
    border_color_primary="#e3d3d9",
    border_color_primary_dark="#463a52",
    input_background_fill="#ffffff",
    input_border_color="#e3d3d9",
    input_border_color_dark="#463a52",
    input_border_width="1px",
    checkbox_border_color_dark="#8f819c",
    button_primary_background_fill="#b4234f",
    button_primary_background_fill_hover="#961b41",
    button_primary_background_fill_dark="#b4234f",
    button_primary_background_fill_hover_dark="#cf2f60",
    button_primary_text_color="#ffffff",
    button_primary_text_color_dark="#ffffff",
    color_accent="#b4234f",
    link_text_color="#b4234f",
    link_text_color_hover="#961b41",
    link_text_color_visited="#b4234f",
    input_background_fill_dark="#2a2333",
    button_secondary_background_fill="#f3e3e8",
    button_secondary_background_fill_dark="#352b40",
    button_secondary_background_fill_hover="#ecd5dc",
    button_secondary_background_fill_hover_dark="#43364f",
    slider_color="#b4234f",
    slider_color_dark="#e0557f",
)

FOLDER = Path(__file__).parent
CSS = (FOLDER / "page.css").read_text(encoding="utf-8")
FORM_CSS = (FOLDER / "train-form.css").read_text(encoding="utf-8")
