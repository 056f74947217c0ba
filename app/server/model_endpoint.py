"""The endpoint that takes a model as a file: POST /ganime/model with the file as its body and its name in ?name=.

The answer is {"key": key of the model}, or {"error": text for the visitor}.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.disk import DiskFull, check_free
from app.errors import explain_disk_errors, visitor_text
from app.faces.studio import Studio
from app.limits import Busy
from app.server.origins import from_another_site, refuse_other_sites
from app.settings import MEGABYTE
from ganime.errors import GanimeError

MODEL_PATH = "/ganime/model"
SECONDS, IDLE_SECONDS = 300.0, 20.0  # in which a file has to arrive, and each piece of it


class ModelEndpoint:
    """Answers the requests described above."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.limits = studio, studio.limits

    def routes(self) -> list[Route]:
        """Return the routes to be served before Gradio's."""
        return [Route(MODEL_PATH, self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        """Store the model and name it."""
        if from_another_site(request):
            return refuse_other_sites()
        visitor = self.studio.visitor(request)
        try:
            self.limits.model_files.check(visitor, "model files")
            return await self.store(request, visitor)
        except Busy as error:
            return refusal(str(error), 503)
        except DiskFull as error:
            return refusal(str(error), 507)
        except OSError:
            return refusal("The model could not be stored. Try again later.", 507)

    async def store(self, request: Request, visitor: str) -> Response:
        """Receive the file of a request and open it. Raises Busy."""
        folder = self.studio.settings.temporary
        folder.mkdir(parents=True, exist_ok=True)
        check_free(folder, self.studio.settings.model_megabytes * MEGABYTE)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".model") as file:
            try:
                async with self.limits.arriving.turn(visitor):
                    arrived = await asyncio.wait_for(self.receive(request, file), SECONDS)
            except (asyncio.TimeoutError, ClientDisconnect):
                return refusal("The file did not arrive completely. Try again.", 408)
            if not arrived:
                most = self.studio.settings.model_megabytes
                return refusal(f"A model may have at most {most} MB on this page (GANIME_MODEL_MEGABYTES).", 413)
            async with self.limits.imports.turn(visitor):
                return await run_in_threadpool(self.open, Path(file.name), request.query_params.get("name", ""))

    async def receive(self, request: Request, file: tempfile._TemporaryFileWrapper) -> bool:
        """Write the body to a file; returns False for one that is too large."""
        left = self.studio.settings.model_megabytes * MEGABYTE
        pieces = request.stream()
        while True:
            try:
                data = await asyncio.wait_for(anext(pieces), IDLE_SECONDS)
            except StopAsyncIteration:
                break
            left -= len(data)
            if left < 0:
                return False
            file.write(data)
        file.flush()
        return True

    def open(self, path: Path, name: str) -> Response:
        """The answer to a file that has arrived."""
        try:
            with explain_disk_errors("The model could not be stored"):
                info = self.studio.library.load_file(path, name or "a file")
                return JSONResponse({"key": info.key})
        except GanimeError as error:
            return refusal(visitor_text(error), 400)


def refusal(text: str, status: int) -> Response:
    """An error as JSON."""
    return JSONResponse({"error": text}, status)
