"""The faces in the page's HTML, and faces that arrive as bytes, in a browser that enforces the page's own policy."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from app.components.modules import URL
from app.faces.library import EMBEDDED_KEY
from tests.browser.conftest import DESKTOP

ROLL = """async ([modules, key]) => {
  const { requestFaces } = (await import(new URL(modules, document.baseURI))).default["shared/face-requests.js"];
  const { picture, recipes, side, columns } = await requestFaces("roll", { key, count: 16, seed: 3 });
  const refused = await requestFaces("roll", { key, count: 65, seed: 3 }).catch((error) => error.message);
  return [picture.width === side * columns, recipes.length, refused];
}"""


def test_faces_show_before_any_script_of_the_page_runs_and_give_way_to_the_page(
    page: Page, address: str, complaints: list[str]
) -> None:
    held: list[Route] = []
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.route("**/assets/index-*.js", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    faces = page.locator("#first-faces i")
    expect(faces).to_have_count(16)
    expect(faces.first).to_be_in_viewport()
    assert page.locator("gradio-app .tile").count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('#first-faces i')).backgroundImage")[:20] == (
        'url("data:image/webp'
    )
    expect(page).to_have_title("Ganime: anime faces")
    for route in held:
        route.continue_()
    page.unroute("**/assets/index-*.js")
    page.wait_for_selector(".tile")
    expect(page.locator("#first-faces")).to_have_count(0)
    matches, recipes, refused = page.evaluate(ROLL, [URL, EMBEDDED_KEY])
    assert (matches, recipes, "64" in refused) == (True, 16, True)
    complaints[:] = [text for text in complaints if "400" not in text]  # the browser notes the refusal, too
