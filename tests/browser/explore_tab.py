"""Helpers for the tests of the Explore tab: links to it, its tools, its tray, and its downloads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
    """Open a link to the tab and wait for its first face, as long as a page may take to load."""
    page.goto(url)
    page.wait_for_selector(".now[data-recipe]")


def on_stage(page: Page) -> str:
    return page.locator(".now").get_attribute("data-recipe") or ""


def choose_tool(page: Page, tool: str) -> None:
    button = page.locator(f'[data-tool="{tool}"]')
    if button.get_attribute("aria-expanded") != "true":
        button.click()
    expect(page.locator(f'[data-panel="{tool}"]')).to_be_visible()


def download(page: Page, action: str, more: str = "") -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        page.locator(f'#explore [data-do="{action}"]{more}').click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def seeds(page: Page, where: str = ".favourites") -> list[int]:
    tiles = page.locator(f"{where} .mug").all()
    return [json.loads(tile.get_attribute("data-recipe") or "{}").get("seed") for tile in tiles]


def alert(page: Page) -> Any:
    return expect(page.locator("#explore .alert"))
