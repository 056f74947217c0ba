"""Helpers for the tests of the page: links to it, its tools, its tray, its downloads, and what its canvases show."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect


def link(address: str, **query: object) -> str:
    """An address of the page that names a face or a tray."""
    return f"{address}/?" + "&".join(f"{name}={quote(json.dumps(value))}" for name, value in query.items())


def recipe(revision: str, seed: int, model: str = "tiny") -> dict[str, Any]:
    return {"model": model, "revision": revision, "seed": seed, "truncation": 1.0}


def with_faces(page: Page, address: str, revision: str, size: dict[str, int]) -> Page:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    visit(page, link(address, face=recipe(revision, 7), tray=[recipe(revision, seed) for seed in (1, 2, 3)]))
    expect(page.locator(".favourites .mug")).to_have_count(3)
    expect(page.locator(".made-by")).to_contain_text("Seed 7")
    return page


def visit(page: Page, url: str) -> None:
    """Open an address and wait for the first face, as long as a page may take to load."""
    page.goto(url)
    page.wait_for_selector(".now[data-recipe]")


def on_stage(page: Page) -> str:
    return page.locator(".now").get_attribute("data-recipe") or ""


def another_face(page: Page, before: str) -> str:
    """Wait until another face is the current one; returns its recipe."""
    expect(page.locator(".now")).not_to_have_attribute("data-recipe", before)
    return on_stage(page)


def this_face(page: Page, face: str) -> None:
    expect(page.locator(".now")).to_have_attribute("data-recipe", face)


def in_address(page: Page, face: str) -> None:
    """Wait until the address names a face, which it does a moment after that became the current one."""
    page.wait_for_function("face => new URLSearchParams(location.hash.slice(1)).get('face') === face", arg=face)


def until(page: Page, holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that is known here. The policy of the page without a server forbids `wait_for_function`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        page.wait_for_timeout(50)


def choose_tool(page: Page, tool: str) -> None:
    page.locator(f'[data-tool="{tool}"]').click()
    expect(page.locator(f'[data-panel="{tool}"]')).to_be_visible()


def press(page: Page, action: str, more: str = "") -> None:
    """Press a button by what it does, in the menu that holds it if there is one."""
    button = page.locator(f'[data-do="{action}"]{more} >> visible=true')
    if not button.count():
        page.locator(f'details.menu:has([data-do="{action}"]{more}) > summary').click()
    button.first.click()


def download(page: Page, action: str, more: str = "") -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        press(page, action, more)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def seeds(page: Page, where: str = ".favourites") -> list[int]:
    tiles = page.locator(f"{where} .mug").all()
    return [json.loads(tile.get_attribute("data-recipe") or "{}").get("seed") for tile in tiles]


def alert(page: Page) -> Any:
    return expect(page.locator("#dock .alert"))


def status(page: Page) -> Any:
    return expect(page.locator("#dock .status"))


def pixels(page: Page, canvas: str) -> np.ndarray:
    """The pixels of a canvas, (H, W, 3)."""
    url = page.evaluate("canvas => document.querySelector(canvas).toDataURL('image/png')", canvas)
    return decoded(url)


def decoded(url: str) -> np.ndarray:
    """The pixels of a picture in a data: URL, (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def sharp_face(page: Page) -> tuple[str, np.ndarray]:
    """The recipe and the pixels, (H, W, 3), of a sharp face on the stage, taken together, for it may be in motion."""
    found = page.wait_for_function(
        """() => {
          const stage = document.querySelector(".now[data-sharp]");
          return stage && [stage.dataset.recipe, stage.toDataURL("image/png")];
        }"""
    )
    recipe, url = found.json_value()
    return recipe, decoded(url)


def drop(page: Page, where: str, name: str, data: bytes) -> None:
    """Let go of a file over a part of the page; the browser must not leave the page for it."""
    page.evaluate(
        """([where, name, data]) => {
          const dataTransfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
          dataTransfer.items.add(new File([bytes], name));
          for (const type of ["dragover", "drop"]) {
            const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
            document.querySelector(where).dispatchEvent(event);
            if (!event.defaultPrevented) throw new Error("the browser would leave the page for the file");
          }
        }""",
        [where, name, base64.b64encode(data).decode()],  # as a list of numbers, 1 MB takes a minute
    )
