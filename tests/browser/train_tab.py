"""Helpers for the tests of the Train tab."""

from __future__ import annotations

from playwright.sync_api import Page, expect

PATIENCE = 120_000  # milliseconds for what a trainer does on a busy machine


def open_tab(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".tile", state="attached", timeout=PATIENCE)
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#start-training")).to_be_visible(timeout=PATIENCE)
