"""The faces in the page's HTML, and faces that arrive as bytes, in a browser that enforces the page's own policy."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from app.components.modules import URL
from app.faces.library import EMBEDDED_KEY
from tests.browser.conftest import DESKTOP

ROLL = """async ([modules, key]) => {
  const { requestFaces } = (await import(new URL(modules, document.baseURI))).default["shared/face-requests.js"];
  const { recipe } = document.querySelector(".now").dataset;
  const seeds = (count) => Array.from({ length: count }, (_, seed) => seed);
  const roll = (count) => requestFaces("roll", { key, recipe, seeds: seeds(count), locks: [] });
  const { picture, recipes, side, columns } = await roll(16);
  const refused = await roll(65).catch((error) => error.message);
  return [picture.width === side * columns, recipes.length, refused];
}"""


def test_faces_show_before_any_script_of_the_page_runs_and_give_way_to_the_page(
    page: Page, address: str, complaints: list[str]
) -> None:
    held: list[Route] = []
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    page.route("**/assets/index-*.js", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    faces = page.locator("#first-faces img")
    expect(faces).to_have_count(2)  # the face, and the row of its variations
    expect(faces.first).to_be_in_viewport()
    assert page.locator("gradio-app .now").count() == 0
    assert page.evaluate("document.querySelector('#first-faces img').naturalWidth") == 512
    expect(page).to_have_title("Ganime: anime faces")
    for route in held:
        route.continue_()
    page.unroute("**/assets/index-*.js")
    page.wait_for_selector(".now[data-sharp]")  # the same picture, taken over
    expect(page.locator("#first-faces")).to_have_count(0)
    matches, recipes, refused = page.evaluate(ROLL, [URL, EMBEDDED_KEY])
    assert (matches, recipes, "64" in refused) == (True, 16, True)
    complaints[:] = [text for text in complaints if "400" not in text]  # the browser notes the refusal, too
