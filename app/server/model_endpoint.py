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

from app.errors import explain_disk_errors, visitor_text
from app.faces.studio import Studio
from app.server.origins import from_another_site, refuse_other_sites
from app.server.rate import Rate
from app.settings import MEGABYTE
from ganime.errors import GanimeError

MODEL_PATH = "/ganime/model"
ARRIVING = 4  # files at a time, each of another visitor
FILES_A_VISITOR, RATE_SECONDS = 6, 600
SECONDS, IDLE_SECONDS = 300.0, 20.0  # in which a file has to arrive, and each piece of it


class ModelEndpoint:
    """Answers the requests described above."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.arriving: set[str] = set()  # visitors whose files are arriving
        self.rate = Rate(FILES_A_VISITOR, seconds=RATE_SECONDS)

    def routes(self) -> list[Route]:
        """Return the routes to be served before Gradio's."""
        return [Route(MODEL_PATH, self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        """Store the model and name it."""
        if from_another_site(request):
            return refuse_other_sites()
        visitor = self.studio.visitor(request)
        if not self.rate.admits(visitor):
            return refusal(
                f"You may open {FILES_A_VISITOR} files in {RATE_SECONDS // 60} minutes. Try again later.", 429
            )
        if visitor in self.arriving or len(self.arriving) >= ARRIVING:
            return refusal("Other models are being uploaded. Try again in a minute.", 503)
        self.arriving.add(visitor)
        try:
            return await self.store(request)
        except OSError:
            return refusal("The model could not be stored. Try again later.", 507)
        finally:
            self.arriving.discard(visitor)

    async def store(self, request: Request) -> Response:
        """Receive the file of a request and open it."""
        folder = self.studio.settings.temporary
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".model") as file:
            try:
                arrived = await asyncio.wait_for(self.receive(request, file), SECONDS)
            except (asyncio.TimeoutError, ClientDisconnect):
                return refusal("The file did not arrive completely. Try again.", 408)
            if not arrived:
                most = self.studio.settings.model_megabytes
                return refusal(f"A model may have at most {most} MB on this page (GANIME_MODEL_MEGABYTES).", 413)
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
