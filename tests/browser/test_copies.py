"""Is it a copy? on the Explore tab, in real Chromium: what is shown while the training faces are looked at."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import SERVER, stand_in
from tests.browser.explore_tab import choose_tool


def test_look_at_the_training_faces_shows_how_far_it_is_and_can_be_stopped(explore: Page) -> None:
    stand_in(explore, compare={"search": "a"}, ask={"progress": 0.3}, leave={})
    choose_tool(explore, "copy")
    bar, stop = explore.locator(".copy-bar"), explore.locator('[data-do="stop-copy"]')
    expect(bar).to_be_visible(timeout=30_000)
    expect(bar).to_have_attribute("value", "0.3")
    with explore.expect_request(lambda request: '"leave"' in (request.post_data or "")):
        stop.click()
    expect(bar).to_be_hidden()
    expect(stop).to_be_hidden()
    expect(explore.locator(".copy-text")).to_contain_text("Stopped.")
    explore.unroute(SERVER)
    explore.locator('[data-do="dice"]').click()
    expect(explore.locator(".copy-verdict")).to_have_text("Not known", timeout=30_000)
