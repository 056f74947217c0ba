"""The page's icon, a face that the embedded model drew, in the sizes that browsers ask for, and the web manifest."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.server.words import DESCRIPTION, NAME

ICON = Path(__file__).with_name("icon.webp")  # docs/make_icon.py makes it
FAVICON_SIDES = (16, 32, 48)  # px, all in one file
SIDES = (180, 192, 512)  # px of the PNGs; 180 is for iOS
COLOURS = 256  # of the PNGs, which have a third of the bytes then
LIGHT, DARK = "#fdf9fa", "#15121a"  # the background of the page, see theme.py
DAY = {"Cache-Control": "public, max-age=86400"}


def routes() -> list[Route]:
    """The routes that take precedence over Gradio's icon and manifest."""
    return [
        Route("/favicon.ico", favicon),
        Route("/manifest.json", manifest),
        Route("/ganime/icon-{side:int}.png", icon),
    ]


async def favicon(request: Request) -> Response:
    """Answer with the icon in all small sizes."""
    return Response(await run_in_threadpool(favicon_bytes), media_type="image/x-icon", headers=DAY)


async def icon(request: Request) -> Response:
    """Answer with the icon in one of the larger sizes."""
    side = request.path_params["side"]
    if side not in SIDES:
        return PlainTextResponse(f"The icon has {', '.join(map(str, SIDES))} px.", 404)
    return Response(await run_in_threadpool(icon_bytes, side), media_type="image/png", headers=DAY)


async def manifest(request: Request) -> Response:
    """Answer with the web manifest."""
    return JSONResponse(manifest_of(DESCRIPTION), media_type="application/manifest+json", headers=DAY)


def manifest_of(description: str) -> dict[str, Any]:
    """The web manifest, for home screens; its addresses are relative to its own. description: of the page."""
    icons = [
        {"src": f"ganime/icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png", "purpose": purpose}
        for side in (192, 512)
        for purpose in ("any", "maskable")
    ]
    return {
        "name": NAME,
        "short_name": NAME,
        "description": description,
        "start_url": "./",
        "display": "standalone",
        "background_color": LIGHT,
        "theme_color": LIGHT,
        "icons": icons,
    }


@functools.cache
def favicon_bytes() -> bytes:
    """The icon as ICO."""
    buffer = io.BytesIO()
    opened(FAVICON_SIDES[-1]).save(buffer, "ICO", sizes=[(side, side) for side in FAVICON_SIDES])
    return buffer.getvalue()


@functools.cache
def icon_bytes(side: int) -> bytes:
    """The icon as PNG."""
    buffer = io.BytesIO()
    opened(side).quantize(COLOURS).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def opened(side: int) -> Image.Image:
    """The icon at `side` px."""
    with Image.open(ICON, formats=["WEBP"]) as picture:
        return picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
