"""The JavaScript modules of the components: joined to one file, served at an address that changes with its content.

A module uses named imports without `as`, and exports functions, constants or lists of names.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

COMPONENTS = Path(__file__).parent
FILES = sorted(COMPONENTS.rglob("*.js"))
MODULES = {path.relative_to(COMPONENTS).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";$', re.MULTILINE)
EXPORTED_LIST = re.compile(r"^export \{([^}]*)\};$", re.MULTILINE)
EXPORTED = re.compile(r"^export (?=(?:async )?(?:function|const) (?:(\w+)|\[([^\]]+)\]))", re.MULTILINE)
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


def imports_of(name: str) -> list[str]:
    """The modules that a module imports by itself."""
    return [resolved(name, path) for _, path in IMPORT.findall(MODULES[name])]


def resolved(name: str, path: str) -> str:
    """The name of the module that `name` imports by a relative path."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def in_order(names: Iterable[str]) -> list[str]:
    """Modules and all that they import, each after those that it imports."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        for imported in imports_of(name):
            add(imported)
        ordered[name] = None

    for name in names:
        add(name)
    return list(ordered)


def as_function(name: str) -> str:
    """A module as a function that returns its exports, called once; what it imports comes from the table `$modules`."""
    source = IMPORT.sub(lambda found: f'const {{{found[1]}}} = $modules["{resolved(name, found[2])}"];', MODULES[name])
    lists = [*EXPORTED_LIST.findall(source), *(one or several for one, several in EXPORTED.findall(source))]
    body = EXPORTED.sub("", EXPORTED_LIST.sub("", source))
    return f'$modules["{name}"] = (() => {{\n{body}\nreturn {{ {", ".join(lists)} }};\n}})();\n'


def joined(names: Iterable[str]) -> bytes:
    """Modules and all that they import as one; it exports the table of their exports."""
    functions = map(as_function, in_order(names))
    return "".join(["const $modules = {};\n", *functions, "export default $modules;\n"]).encode()


BUNDLE = joined(name for name in MODULES if not name.startswith("static/"))
PACKED = gzip.compress(BUNDLE, mtime=0)
URL = f"modules/{hashlib.sha256(BUNDLE).hexdigest()[:12]}.js"  # relative to the page, which may lie below any path


def loaded(name: str) -> str:
    """A JavaScript expression: a promise of the exports of a module."""
    return f'import(new URL("{URL}", document.baseURI)).then((file) => file.default["{name}"])'


def routes() -> list[Route]:
    """The endpoint that serves the modules."""
    return [Route("/modules/{name}", serve)]


async def serve(request: Request) -> Response:
    """Answer with the modules. Every other name is unknown, and so is every version but the present one."""
    if f"modules/{request.path_params['name']}" != URL:
        return PlainTextResponse("There is no such module. Reload the page.", 404, {"Cache-Control": "no-store"})
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(PACKED, media_type="text/javascript", headers=FOREVER | {"Content-Encoding": "gzip"})
    return Response(BUNDLE, media_type="text/javascript", headers=FOREVER)


def page_head() -> str:
    """HTML for the page's head: begins early to load the modules, with page.js as `window.ganime`."""
    return f'<link rel="modulepreload" href="{URL}">\n<script>window.ganime = {loaded("page.js")};</script>'
