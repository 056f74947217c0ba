"""What the page's own server gives to browsers, so that they draw the faces of the start model themselves.

GET /ganime/browser/model.json (relative to the page) says what a worker has to know of the model, and names its files
as model.json of the static edition does. "trial" are recipes of faces; the file of that name holds their pixels, RGB in
bytes. The answer is 204 where this server has nothing to give: without ONNX Runtime for browsers or the extra `onnx`,
for a model that is too large, and for one whose weights visitors may not have.

The files lie in memory, 12 MB for the embedded model. They are made when they are first asked for.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from app.components.modules import FOREVER
from app.faces.loaded_model import MAX_FACES, LoadedModel
from app.faces.studio import Studio
from app.static.runtime import Runtime, find_runtime
from ganime.errors import ConfigError, GanimeError

LOG = logging.getLogger(__name__)
MODEL_FILE = "model.json"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".txt": "text/plain", ".json": "application/json"}
OTHER = "application/octet-stream"
PIECE = 64 * 1024  # bytes of a large file that wait in memory for a slow browser
# A worker obeys the policy of its own file, not that of the page. ONNX Runtime compiles WebAssembly and nothing else.
POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"


class BrowserFiles:
    """Answers the requests described above. studio: has the start model.

    runtime: the folder of ONNX Runtime for browsers; by default where `ganime static` finds it.
    """

    def __init__(self, studio: Studio, runtime: Path | None = None) -> None:
        self.studio, self.runtime = studio, runtime
        self.making = asyncio.Lock()
        self.files: Mapping[str, bytes] | None = None  # by path; empty where there is nothing to give

    def routes(self) -> list[Route]:
        """Return the routes to be served before Gradio's."""
        return [Route("/ganime/browser/{path:path}", self.answer)]

    async def answer(self, request: Request) -> Response:
        """Answer with a file."""
        async with self.making:
            files = self.files = await run_in_threadpool(self.made) if self.files is None else self.files
        path = request.path_params["path"]
        data = files.get(path)
        if data is None:
            if path == MODEL_FILE:
                return Response(status_code=204, headers={"Cache-Control": "no-store"})
            return PlainTextResponse("There is no such file. Reload the page.", 404, {"Cache-Control": "no-store"})
        return sent(path, data, request.method == "HEAD")

    def made(self) -> dict[str, bytes]:
        """The files by path; none where there is nothing to give, for a reason that the log tells the owner."""
        library = self.studio.library
        try:
            if not library.shares_start:
                raise ConfigError("The model of this page is private (GANIME_SHARE_MODEL).")
            return files_of(self.studio.open(library.start.key), find_runtime(self.runtime))
        except GanimeError as error:
            LOG.info("Faces are drawn by this server, not by browsers. %s", error)
        except Exception:  # of the libraries that write networks, for a model of the owner's own
            LOG.exception("Faces are drawn by this server, not by browsers, for which its model could not be written.")
        return {}


def files_of(model: LoadedModel, runtime: Runtime) -> dict[str, bytes]:
    """The files for a model, by path.

    Raises ConfigError for a model that is too large and where the extra `onnx` is missing.
    """
    from app.static import edition  # needs that extra

    folder = edition.Folder()
    about: dict[str, Any] = edition.add_drawing(folder, model, runtime)
    trial = model.recipes(1, model.openers[0])
    folder.add("trial", "trial.bin", model.draw(trial).faces.tobytes())
    edition.check_sizes(folder.files)
    about |= {
        "model": {"model": model.checkpoint.name, "revision": model.checkpoint.revision, "most": MAX_FACES},
        "files": folder.assets,
        "trial": [recipe.to_json() for recipe in trial],
    }
    return folder.files | {MODEL_FILE: json.dumps(about).encode()}


def sent(path: str, data: bytes, head: bool) -> Response:
    """The response with a file; assets, whose paths change with them, may be kept for ever.

    head: whether only the headers are asked for.
    """
    kind = TYPES.get(PurePosixPath(path).suffix, OTHER)
    headers = FOREVER if path.startswith("assets/") else {"Cache-Control": "no-cache"}
    if kind == "text/javascript":
        headers = headers | {"Content-Security-Policy": POLICY}
    if head:
        return Response(media_type=kind, headers=headers | {"Content-Length": str(len(data))})
    if len(data) <= PIECE:
        return Response(data, media_type=kind, headers=headers)
    return StreamingResponse(pieces(data), media_type=kind, headers=headers | {"Content-Length": str(len(data))})


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """A large file in pieces, each of which is copied once the one before is on its way."""
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]
