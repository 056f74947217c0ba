"""The JavaScript modules of the components: served from memory, at an address that changes with their content."""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

COMPONENTS = Path(__file__).parent
MODULES = {path.relative_to(COMPONENTS).as_posix(): path.read_bytes() for path in sorted(COMPONENTS.rglob("*.js"))}
VERSION = hashlib.sha256(b"".join(name.encode() + source for name, source in MODULES.items())).hexdigest()[:12]
IMPORTED = re.compile(r'from "(\.{1,2}/[^"]+)"')
FIRST = ("page.js", "gallery/gallery.js")  # what the first tab needs
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def module_url(name: str) -> str:
    """The address of a module, relative to the page, which may lie below any path."""
    return f"modules/{VERSION}/{name}"


def routes() -> list[Route]:
    """The endpoint that serves the modules."""
    return [Route("/modules/{version}/{name:path}", serve_module)]


async def serve_module(request: Request) -> Response:
    """Answer with a module. Every other name is unknown, and so is every version but the present one."""
    name, version = request.path_params["name"], request.path_params["version"]
    if version != VERSION or name not in MODULES:
        return PlainTextResponse("There is no such module. Reload the page.", 404, {"Cache-Control": "no-store"})
    return Response(MODULES[name], media_type="text/javascript", headers=FOREVER)


def imports_of(name: str) -> list[str]:
    """The modules that a module imports by itself."""
    found = IMPORTED.findall(MODULES[name].decode())
    return [posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in found]


def with_imports(names: tuple[str, ...]) -> list[str]:
    """Modules, and all that they import."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += imports_of(name)
    return list(found)


def page_head() -> str:
    """HTML for the page's head: loads page.js as `window.ganime`, and begins early with what the first tab needs."""
    links = [f'<link rel="modulepreload" href="{module_url(name)}">' for name in with_imports(FIRST)]
    script = f'<script>window.ganime = import(new URL("{module_url("page.js")}", document.baseURI));</script>'
    return "\n".join([*links, script])
