"""What axe finds on a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

COLOUR_RULES = ["color-contrast", "link-in-text-block"]  # what the colours of a theme can break


def serious(page: Page, part: str | None = None, rules: list[str] | None = None) -> list[tuple[str, list[str], str]]:
    """The serious violations of the page or of a part of it, by all rules or by some: rule, places, what to change."""
    options = {"runOnly": {"type": "rule", "values": rules}} if rules else None
    found = Axe().run(page, context=part, options=options).response["violations"]
    return [
        (one["id"], [node["target"] for node in one["nodes"][:4]], one["nodes"][0]["failureSummary"])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def serious_in_themes(page: Page, part: str | None = None, both: bool = True) -> list[tuple[str, list[str], str]]:
    """The same in the light theme.

    both: also for the colours of the dark theme, to which the open page is switched.
    """
    page.add_style_tag(content="* { transition: none !important; }")  # else the colours take a while to change
    found = serious(page, part)
    if not both:
        return found
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("body.dark")
    found += serious(page, part, COLOUR_RULES)
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("body:not(.dark)")
    return found
