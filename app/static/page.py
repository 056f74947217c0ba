"""The HTML of the static edition, and its card for previews of links."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template

from app.components.modules import COMPONENTS
from app.faces.loaded_model import LoadedModel
from app.server.card import CARD_SIZE, MAX_FACES, draw_card
from app.server.page_head import CARD_PATH, tags
from app.server.words import NAME, TITLE

PARTS = ("header", "create", "interpolate", "dock")  # components
DESCRIPTION = (
    "Roll anime faces, change their hair, eyes and expression, and turn one face into another. Everything is drawn in "
    "your browser."
)
# No other host is asked for anything. ONNX Runtime compiles WebAssembly and nothing else.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "worker-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' blob:",
    "connect-src": "'self' data: blob:",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}


def page_html(paths: Mapping[str, str], first: str, address: str) -> str:
    """The page. paths: of its files, by purpose. first: the URL of a face. address: of the page, empty if unknown."""
    template = Template((COMPONENTS / "static" / "index.html").read_text(encoding="utf-8"))
    parts = {part: (COMPONENTS / part / f"{part}.html").read_text(encoding="utf-8") for part in PARTS}
    policy = escape("; ".join(f"{name} {value}" for name, value in POLICY.items()))
    return template.substitute(paths, policy=policy, head=head(address), name=NAME, first=first, **parts)


def head(address: str) -> str:
    """The tags that describe the page to browsers, search engines and messengers."""
    metas = [
        ("name", "description", DESCRIPTION),
        ("property", "og:type", "website"),
        ("property", "og:site_name", NAME),
        ("property", "og:title", TITLE),
        ("property", "og:description", DESCRIPTION),
    ]
    if address:
        root, (width, height) = address.rstrip("/"), CARD_SIZE
        metas += [
            ("property", "og:url", f"{root}/"),
            ("property", "og:image", f"{root}/{CARD_PATH}"),
            ("property", "og:image:width", str(width)),
            ("property", "og:image:height", str(height)),
            ("property", "og:image:alt", f"Anime faces, drawn by {NAME}"),
            ("name", "twitter:card", "summary_large_image"),
        ]
    return tags(TITLE, metas)


def card_of(model: LoadedModel, text: str = DESCRIPTION) -> bytes:
    """The picture beside links to the page, as JPEG. text: what the page is."""
    recipes = [recipe for seed in model.openers[:MAX_FACES] for recipe in model.recipes(1, seed)]
    return draw_card(list(model.draw(recipes).faces), "Anime faces", text)
