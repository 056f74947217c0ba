"""The layout of every tab, in real Chromium: what fits, what axe finds, and where a finger has to reach."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import serious_in_themes
from tests.browser.conftest import DESKTOP, PHONE, SERVER, open_page
from tests.browser.create_tab import alert, choose_tool, press, until, visit, with_faces

TOOLS = ("sliders", "picture", "mix", "inside", "copy")
# Buttons on view whose width or height is below so many px, by their text or class, with their size. Gradio has a flat
# copy of its tabs, which nobody sees.
SMALL = """(least) => [...document.querySelectorAll("button, summary, select, input[type=range], a")]
  .filter((part) => part.checkVisibility({ opacityProperty: true }) && !part.disabled)
  .map((part) => [part.textContent.trim() || part.className || part.type, part.getBoundingClientRect()])
  .filter(([, { width, height }]) => height > 1 && (width < least || height < least))
  .map(([name, { width, height }]) => `${name} ${Math.round(width)}x${Math.round(height)}`)"""
# By how many px an element reaches under the tray.
UNDER_TRAY = """(part) => document.querySelector(part).getBoundingClientRect().bottom
  - document.querySelector("#dock").getBoundingClientRect().top"""
# By how many px the pinned face covers what has the focus.
UNDER_FACE = """() => (document.querySelector(".window.pinned .now")?.getBoundingClientRect().bottom ?? 0)
  - document.activeElement.getBoundingClientRect().top"""
# Parts that stick out of the page sideways.
WIDE = """() => [...document.querySelectorAll("body *")]
  .filter((part) => part.checkVisibility() && part.getBoundingClientRect().right > innerWidth + 1)
  .filter((part) => !part.closest(".favourites, pre, .nets, dialog"))
  .map((part) => `${part.tagName}.${part.className}`.slice(0, 80))"""

# Buttons of open menus that something else lies on, or that are out of sight.
COVERED = """() => [...document.querySelectorAll("details.menu[open] .menu-list button")]
  .filter((button) => button.checkVisibility())
  .filter((button) => {
    const { x, y, width, height } = button.getBoundingClientRect();
    return !button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  })
  .map((button) => button.textContent)"""
# How many buttons, menus and labels stand in each line of a row.
LINES = """(row) => Object.values(Object.groupBy(
  [...document.querySelector(row).children].filter(
    (part) => part.matches("button, details, label, h2") && part.checkVisibility()),
  (part) => { const { top, bottom } = part.getBoundingClientRect(); return Math.round((top + bottom) / 40); }))
  .map((line) => line.length)"""

# At the end of the page: how far the dock is from the window's bottom, and Gradio's footer from the dock, in px.
AT_END = """() => {
  scrollTo(0, document.documentElement.scrollHeight);
  const [dock, footer] = ["#dock", "footer"].map((part) => document.querySelector(part).getBoundingClientRect());
  scrollTo(0, 0);
  return [innerHeight - dock.bottom, dock.top - footer.bottom].map(Math.round);
}"""


def fits(page: Page, where: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth"), where
    assert page.evaluate(WIDE) == [], where


def fill(page: Page, tool: str) -> None:
    """Open a tool and have it show what it has to show."""
    choose_tool(page, tool)
    if tool == "sliders":
        page.locator(".more-sliders").evaluate("all => { all.open = true; }")
        page.locator('[data-swatch="blue_hair"]').click()
    if tool == "mix":
        for number in range(3):
            page.locator(".parents .mug").nth(number).click()
            expect(page.locator('.parents .mug[aria-pressed="true"]')).to_have_count(number + 1)
        page.locator('[data-do="breed"]').click()
        expect(page.locator(".children .mug")).to_have_count(8)
    if tool == "inside":
        expect(page.locator(".net img").last).to_be_visible()
    if tool == "copy":
        expect(page.locator(".copy-verdict")).not_to_be_empty()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_tool_and_tab_fits_and_axe_finds_nothing_serious_in_either_theme(
    page: Page, address: str, complaints: list[str], size: dict[str, int]
) -> None:
    both = size == DESKTOP  # colours are the same at every width
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    open_page(page, address, size)
    fits(page, "empty")
    for number in range(3):
        page.locator(".variations .heart").nth(number).click(force=True)
        expect(page.locator(".favourites .mug")).to_have_count(number + 1)
    page.locator(".favourites .mug").first.click()
    for tool in TOOLS:
        fill(page, tool)
        fits(page, tool)
    assert page.evaluate(SMALL, 24) == []  # WCAG 2.2, 2.5.8
    assert serious_in_themes(page, both=both) == []  # the last tool, with gallery, find and tray
    for tool in TOOLS[:-1]:
        choose_tool(page, tool)
        assert serious_in_themes(page, f'[data-panel="{tool}"]', both) == [], tool
    for menu in (".models", "#create .main details", "#dock details.menu"):
        page.locator(f"{menu} > summary").click()
        fits(page, menu)
        assert page.evaluate(COVERED) == [], menu
        assert serious_in_themes(page, menu, both) == [], menu
        page.locator(f"{menu} > summary").click()
    for tab in ("Interpolate", "Train"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        fits(page, tab)
        assert page.evaluate(AT_END) == [0, 0], tab
        assert serious_in_themes(page, both=both) == [], tab
        if tab == "Interpolate":
            page.locator("#interpolate .main summary").click()
            assert page.evaluate(COVERED) == []
    page.get_by_role("tab", name="Create").click()
    assert page.evaluate(AT_END) == [0, 0]
    if both:  # Gradio leaves it out on a phone
        expect(page.get_by_role("button", name="Use via API", exact=True)).to_be_visible()  # without Gradio's sign
    page.route(SERVER, lambda route: route.fulfill(json={"error": "Others are being served just now. " * 4}))
    page.locator(".gallery").scroll_into_view_if_needed()
    press(page, "zip", '[data-size="512"]')  # on a phone far below the stage
    alert(page).to_contain_text("Others are being served")
    expect(page.locator("#dock .alert")).to_be_in_viewport(ratio=0.99)
    page.locator("#dock .alert").click()  # out of the way
    expect(page.locator("#dock .alert")).to_be_hidden(timeout=3_000)  # by itself it goes after 12 s
    page.unroute(SERVER)


@pytest.mark.parametrize("width", [390, 360])
def test_on_a_phone_no_button_stands_alone_in_a_line(page: Page, address: str, width: int) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, address, {"width": width, "height": 740})
    assert page.evaluate(LINES, ".create .main") == [4, 3]
    assert page.evaluate(LINES, ".create .tools") == [3, 2]
    assert page.evaluate(LINES, ".strip .strip-head") == [3]
    page.locator('.main summary:text("Save")').click()
    fits(page, "Save")
    assert page.evaluate("document.querySelector('.main .menu-list').getBoundingClientRect().left") >= 0
    page.get_by_role("tab", name="Interpolate").click()
    expect(page.locator("[data-slot]").first).to_be_visible()
    row = page.locator(".interpolate .main").bounding_box()
    last = page.locator('.interpolate [data-do="redo"]').bounding_box()
    assert row
    assert last
    assert last["x"] + last["width"] <= row["x"] + row["width"] + 0.5


def test_on_a_phone_the_face_fills_the_width_and_a_tap_far_below_shows_it(
    page: Page, address: str, complaints: list[str]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, address, PHONE)
    box = page.locator(".now").bounding_box()
    assert box
    assert box["width"] >= 0.9 * PHONE["width"]
    tile = page.locator(".gallery .mug").last
    tile.scroll_into_view_if_needed()
    expect(page.locator(".now")).not_to_be_in_viewport()
    tile.click()
    expect(page.locator(".now")).to_have_attribute("data-recipe", tile.get_attribute("data-recipe") or "")
    expect(page.locator(".now")).to_be_in_viewport(ratio=1)  # all of it
    expect(page.locator(".window")).not_to_have_class(re.compile("pinned"))
    page.locator(".boldness").scroll_into_view_if_needed()
    expect(page.locator(".window")).not_to_be_in_viewport()
    expect(page.locator(".now")).to_be_in_viewport(ratio=1)  # smaller, above the sliders
    page.locator(".boldness").focus()
    for _ in range(45):  # back through all that is between the two
        page.keyboard.press("Shift+Tab")
        until(page, lambda: page.evaluate(UNDER_FACE) <= 0)  # once the face is pinned, or is no longer


def test_on_a_phone_the_third_kept_face_is_in_sight(
    page: Page, steered_address: str, revision: str, complaints: list[str]
) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    visit(page, steered_address)
    tour = page.locator("#dock .first-tour")
    expect(tour).to_be_visible()
    with_faces(page, steered_address, revision, PHONE)
    expect(tour).to_be_hidden()  # More has it, too
    expect(page.locator(".favourites .mug").nth(2)).to_be_in_viewport(ratio=0.9)


def test_what_has_the_focus_is_not_covered_by_the_tray_and_is_outlined_in_the_colours_of_the_page(opened: Page) -> None:
    opened.set_viewport_size({"width": 1280, "height": 800})
    assert covered_by_the_tray(opened) == []
    press(opened, "tour")
    expect(opened.locator(".tour")).to_be_visible()  # it makes the tray higher
    assert covered_by_the_tray(opened) == []
    press(opened, "tour-end")
    opened.evaluate("scrollTo(0, 0)")
    opened.locator(".about summary").click()
    expect(opened.locator('[data-do="copy-recipe"]')).to_be_in_viewport(ratio=1)
    assert opened.evaluate(UNDER_TRAY, ".about") <= 0
    tab = opened.get_by_role("tab", name="Create")
    tab.focus()
    opened.keyboard.press("Shift")  # the focus is shown to those who use keys
    assert tab.evaluate("tab => getComputedStyle(tab).outlineWidth") == "3px"
    assert tab.evaluate("tab => parseInt(getComputedStyle(tab).outlineOffset)") < 0  # nothing outside it is seen
    swatch = opened.locator("[data-swatch]").nth(1)
    swatch.hover()
    assert swatch.evaluate("swatch => getComputedStyle(swatch).borderColor") == "rgb(255, 255, 255)"  # the gap


def covered_by_the_tray(page: Page) -> list[str]:
    """Which controls of the gallery are behind the tray once they have the focus."""
    found = []
    for part in (".count", '[data-do="roll"]', ".seed", '[data-do="keep-all"]', ".about summary"):
        page.evaluate("scrollTo(0, 0)")
        page.locator(f"#create {part}").focus()
        if page.evaluate(UNDER_TRAY, f"#create {part}") > 0:
            found.append(part)
    return found


def test_what_the_browser_draws_itself_has_the_colours_of_the_theme(page: Page, address: str) -> None:
    for scheme in ("light", "dark"):
        visit(page, f"{address}/?__theme={scheme}")
        for part in ("html", ".with-costs"):  # the scrollbar of the window is that of the first one
            assert page.locator(part).evaluate("part => getComputedStyle(part).colorScheme") == scheme
