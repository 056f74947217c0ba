"""The upload endpoint: Gradio's own, behind limits on who may upload, how much, and on how much disk space."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
from pathlib import Path

from gradio.route_utils import API_PREFIX, MultiPartException, upload_fn
from gradio.routes import file_upload_statuses
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.errors import JobError, explain_disk_errors
from app.jobs.limits import check_visitor, make_room
from app.jobs.service import Jobs
from app.jobs.store import secret_digest
from app.jobs.uploads import MIN_REQUEST_BYTES, arrival_sizes, arrivals_folder
from app.server.request_limits import UPLOAD_PATH, cut_body, forget_upload
from app.settings import MEGABYTE
from app.visitors import Visitor, profile_of, visitor_of

CLOSED_PATHS = (f"{API_PREFIX}/process_recording", f"{API_PREFIX}/deep_link")  # write files; the page needs neither
FORM_BYTES = MEGABYTE  # for names and boundaries around the files of a request
VISITOR_DIGITS = 32  # of a visitor's digest, with which the folders of their uploads begin
MAX_REQUESTS = 16  # of one visitor whose files wait
UPLOAD_SECONDS = 900.0  # longest duration of a request
IDLE_SECONDS = 30.0  # without a byte, after which a request is ended: it holds as much disk space as it announced
STATUS_SECONDS = 60.0  # for which Gradio's progress endpoint can report the end of an upload


class UploadEndpoint:
    """Stores uploads, each request in a separate folder with a name that cannot be guessed.

    The waiting uploads of one visitor count together, and all uploads count towards the disk space of the page.

    jobs: None when nobody can train here; `no_jobs` then says why uploads are refused
    upload_seconds, idle_seconds, status_seconds: see UPLOAD_SECONDS, IDLE_SECONDS and STATUS_SECONDS
    """

    def __init__(
        self,
        jobs: Jobs | None,
        no_jobs: str,
        upload_seconds: float = UPLOAD_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        status_seconds: float = STATUS_SECONDS,
    ) -> None:
        self.jobs, self.no_jobs = jobs, no_jobs
        self.upload_seconds, self.idle_seconds, self.status_seconds = upload_seconds, idle_seconds, status_seconds
        self.announced: dict[Path, int] = {}  # bytes of requests in progress, by folder
        self.admitting = threading.Lock()

    def routes(self) -> list[Route]:
        """Return the routes that take precedence over Gradio's own."""
        closed = [Route(path, self.not_found, methods=["GET", "POST"]) for path in CLOSED_PATHS]
        return [Route(UPLOAD_PATH, self.upload, methods=["POST"]), *closed]

    async def not_found(self, request: Request) -> Response:
        """Answer a request to an endpoint that this page does not offer."""
        return PlainTextResponse("This page does not offer that.", 404)

    async def upload(self, request: Request) -> Response:
        """Store the files of a multipart form and return their paths as JSON, as Gradio's endpoint does."""
        if self.jobs is None:
            return PlainTextResponse(self.no_jobs, 403)
        length = request.headers.get("content-length", "")
        if "transfer-encoding" in request.headers or not length.isdecimal():
            return PlainTextResponse("An upload must state its length (Content-Length).", 411)
        visitor = visitor_of(request, profile_of(request), self.jobs.settings.proxies)
        try:
            check_visitor(visitor, self.jobs.settings)
        except JobError as error:
            return PlainTextResponse(str(error), 403)
        try:
            place = await run_in_threadpool(self.admit, self.jobs, visitor, int(length))
        except JobError as error:
            return PlainTextResponse(str(error), 413)
        receive = cut_body(request.receive, int(length), self.idle_seconds)
        return await self.store(self.jobs, Request(request.scope, receive), place)

    def admit(self, jobs: Jobs, visitor: Visitor, length: int) -> Path:
        """Return a new folder for a request of `length` bytes. Raises JobError when there is no space for it."""
        settings, needed = jobs.settings, max(length, MIN_REQUEST_BYTES)
        owner = secret_digest(visitor.identity)[:VISITOR_DIGITS]
        with explain_disk_errors("The upload could not be stored"), self.admitting:
            waiting = arrival_sizes(settings) | self.announced
            own = [size for place, size in waiting.items() if place.name.startswith(owner)]
            check_waiting(own, length, settings.upload_megabytes)
            with jobs.store.writing() as session:
                make_room(session, settings, needed, jobs.options.spare_bytes, waiting=sum(waiting.values()))
                session.rollback()  # deletes no job yet: the bytes are only announced
            place = arrivals_folder(settings) / f"{owner}-{secrets.token_urlsafe(16)}"
            place.mkdir(parents=True, mode=0o700)
            self.announced[place] = needed
        return place

    async def store(self, jobs: Jobs, request: Request, place: Path) -> Response:
        """Read the files of a request into `place`, which is deleted if that fails."""
        upload_id = request.query_params.get("upload_id")
        paths: list[Path] = []
        try:
            paths = await self.read_files(request, place, jobs.settings.upload_megabytes, upload_id)
            return JSONResponse([str(path) for path in paths])
        except ClientDisconnect:  # or more bytes arrived than were announced
            return PlainTextResponse("The upload was interrupted. Try again.", 400)
        except asyncio.TimeoutError:
            text = (
                f"The upload stood still for {self.idle_seconds:g} seconds or took more than "
                f"{self.upload_seconds / 60:.0f} minutes. Try again, with fewer or smaller pictures."
            )
            return PlainTextResponse(text, 408)
        except MultiPartException as error:
            if "Headers exceeded" in error.message:
                return PlainTextResponse("The name of a file is too long. Rename it and try again.", 400)
            if "maximum allowed size" not in error.message:
                return PlainTextResponse(error.message, 400)
            most = f"{jobs.settings.upload_megabytes:,} MB"
            return PlainTextResponse(f"A file is larger than {most}, the limit here (GANIME_UPLOAD_MEGABYTES).", 413)
        except OSError as error:
            return PlainTextResponse(f"The upload could not be stored ({error.strerror}). Try again later.", 507)
        finally:
            self.announced.pop(place, None)
            if upload_id:
                file_upload_statuses.set_done(upload_id)
                asyncio.get_running_loop().call_later(self.status_seconds, forget_upload, upload_id)
            if not paths:
                await run_in_threadpool(shutil.rmtree, place, ignore_errors=True)

    async def read_files(self, request: Request, place: Path, megabytes: int, upload_id: str | None) -> list[Path]:
        """Write the files of a form to `place` and return their paths. megabytes: largest size of a file."""
        progress = file_upload_statuses if upload_id else None
        reading = upload_fn(request, place, megabytes * MEGABYTE, upload_id, upload_progress=progress)
        paths, _, _ = await asyncio.wait_for(reading, self.upload_seconds)
        return [Path(path) for path in paths]


def check_waiting(sizes: list[int], length: int, most: int) -> None:
    """Raise JobError when a visitor whose waiting uploads have these sizes may not upload `length` bytes more.

    most: megabytes that the uploads of a visitor may have together
    """
    if len(sizes) >= MAX_REQUESTS:
        raise JobError(
            f"{len(sizes)} of your uploads are waiting, the most that this page allows. Train on them first, or "
            "upload a zip, or all pictures at once."
        )
    if sum(sizes) + length > most * MEGABYTE + FORM_BYTES:
        waiting = f" beside {sum(sizes) / MEGABYTE:,.0f} MB that are waiting" if sizes else ""
        raise JobError(
            f"This upload has {length / MEGABYTE:,.0f} MB{waiting}; this page takes {most:,} MB in all "
            "(GANIME_UPLOAD_MEGABYTES). Upload fewer or smaller pictures; 256 px per side are enough."
        )
