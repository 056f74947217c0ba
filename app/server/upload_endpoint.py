"""The upload endpoint, in the place of Gradio's: who may upload, how much, and on how much disk space."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.errors import JobError, explain_disk_errors
from app.jobs.arrivals import (
    ABANDONED_SECONDS,
    MIN_REQUEST_BYTES,
    arrival_bytes,
    arrivals_folder,
    bundle,
    delete_abandoned,
    megabytes,
    refusal_path,
)
from app.jobs.limits import check_visitor, make_room
from app.jobs.service import Jobs
from app.jobs.store import secret_digest
from app.limits import Busy, Limits
from app.server.multipart import FormError, FormFiles
from app.server.request_limits import UPLOAD_PATH, cut_body
from app.server.upload_progress import UploadProgress
from app.settings import MEGABYTE, Settings
from app.visitors import Visitor, profile_of, visitor_of

FORM_BYTES = MEGABYTE  # for names and boundaries around the files of a request
VISITOR_DIGITS = 32  # of a visitor's digest, with which the folders of their uploads begin
GROUP_DIGITS = 16  # of the digest of an upload's id, which follow: a browser sends a folder in requests of 1,000 files
MAX_NAMED = (
    100  # files of a request that are answered by their own paths; of more, the path of their folder stands for all
)
API_CLIENT = "gradio_client"  # begins the User-Agent of a client that shows no answer but its status
UPLOAD_SECONDS = 900.0  # longest duration of a request
IDLE_SECONDS = 30.0  # in which LEAST of a request has to arrive: it holds as much disk space as it announced
THREADS = 2  # that store uploads at the same time, apart from those that draw
LEAST = IDLE_SECONDS / UPLOAD_SECONDS / 4  # a quarter of the pace at which it arrives in time


class UploadEndpoint:
    """Stores uploads, each request in a separate folder with a name that cannot be guessed.

    What is limited is the size of an upload, however many requests it takes, what waits of one visitor, and the disk
    space of all. Uploads that nobody waits for any more make room for others; what is left of a refused one is deleted.

    jobs: None when nobody can train here; `no_jobs` then says why uploads are refused
    limits: the doors of the page; uploads of a visitor that are too many at a time wait for their turn
    upload_seconds, idle_seconds: see UPLOAD_SECONDS and IDLE_SECONDS
    """

    def __init__(
        self,
        jobs: Jobs | None,
        no_jobs: str,
        limits: Limits,
        upload_seconds: float = UPLOAD_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.jobs, self.no_jobs, self.limits = jobs, no_jobs, limits
        self.upload_seconds, self.idle_seconds = upload_seconds, idle_seconds
        self.progress = UploadProgress()
        self.threads = CapacityLimiter(THREADS)
        self.announced: dict[Path, int] = {}  # bytes of requests in progress, by folder
        self.sizes: dict[Path, int] = {}  # bytes of the other requests
        self.admitting = threading.Lock()

    def routes(self) -> list[Route]:
        """Return the routes that take precedence over Gradio's own."""
        return [Route(UPLOAD_PATH, self.upload, methods=["POST"]), self.progress.route()]

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
            return self.refusal(self.jobs, request, str(error), 403)
        try:
            async with self.limits.uploads.turn(visitor.identity):
                return await self.take(self.jobs, visitor, request, int(length))
        except Busy as error:
            return self.refusal(self.jobs, request, str(error), 503)

    async def take(self, jobs: Jobs, visitor: Visitor, request: Request, length: int) -> Response:
        """Store an upload of `length` bytes whose turn it is."""
        try:
            upload_id = request.query_params.get("upload_id", "")
            place = await run_in_threadpool(self.admit, jobs, visitor, length, upload_id)
        except JobError as error:
            return self.refusal(jobs, request, str(error), 413)
        receive = cut_body(request.receive, length, self.idle_seconds, LEAST)
        return await self.store(jobs, Request(request.scope, receive), place)

    def refusal(self, jobs: Jobs, request: Request, text: str, status: int) -> Response:
        """Return the answer to a refused upload.

        gradio_client would show the status without the text. It gets a path instead, for which the endpoint that it
        calls next gives the reason.
        """
        if request.headers.get("user-agent", "").startswith(API_CLIENT):
            return JSONResponse([str(refusal_path(jobs.settings, text))])
        return PlainTextResponse(text, status)

    def admit(self, jobs: Jobs, visitor: Visitor, length: int, upload_id: str = "") -> Path:
        """Return a new folder for a request of `length` bytes. Raises JobError when there is no space for it.

        upload_id: the same in all requests of one upload, if the client sends one.
        """
        settings, needed = jobs.settings, max(length, MIN_REQUEST_BYTES)
        owner = secret_digest(visitor.identity)[:VISITOR_DIGITS]
        group = secret_digest(upload_id)[:GROUP_DIGITS] if upload_id else secrets.token_hex(GROUP_DIGITS // 2)
        with explain_disk_errors("The upload could not be stored"), self.admitting:
            waiting = self.waiting(settings)
            own = {place: size for place, size in waiting.items() if place.name.startswith(owner)}
            upload = {place: size for place, size in own.items() if place.name.startswith(f"{owner}-{group}")}
            try:
                check_size(sum(upload.values()) + length, settings.upload_megabytes, FORM_BYTES)
                self.make_room_for(jobs, needed, waiting, own, upload)
            except JobError:
                for place in upload.keys() - self.announced.keys():
                    shutil.rmtree(place, ignore_errors=True)
                raise
            place = arrivals_folder(settings) / f"{owner}-{group}-{secrets.token_urlsafe(16)}"
            place.mkdir(parents=True, mode=0o700)
            self.announced[place] = needed
        return place

    def waiting(self, settings: Settings) -> dict[Path, int]:
        """Return the bytes of all uploads that no job has taken, by the folder of their request.

        Each is measured once: a visitor may send thousands of requests.
        """
        places = list(arrivals_folder(settings).glob("*"))
        self.sizes = {place: self.sizes.get(place) or arrival_bytes(place) for place in places}
        return self.sizes | self.announced

    def make_room_for(
        self, jobs: Jobs, needed: int, waiting: dict[Path, int], own: dict[Path, int], upload: dict[Path, int]
    ) -> None:
        """Delete uploads that nobody waits for until `needed` more bytes fit. Raises JobError if they do not even then.

        waiting, own, upload: sizes of all uploads, of this visitor's, and of the requests of this upload
        """
        settings = jobs.settings
        most = settings.upload_megabytes * settings.visitor_jobs * MEGABYTE + FORM_BYTES
        deletable = own.keys() - upload.keys() - self.announced.keys()
        excess = sum(own.values()) + needed - most
        if excess > 0 and delete_abandoned(deletable, excess, waiting) < excess:
            raise JobError(
                f"{megabytes(sum(own.values()))} that were uploaded from your address are waiting to be read, and this "
                f"page keeps {megabytes(most)} (GANIME_UPLOAD_MEGABYTES and GANIME_VISITOR_JOBS). Try again in "
                f"{ABANDONED_SECONDS / 60:.0f} minutes, or upload less."
            )
        try:
            self.check_disk(jobs, needed, waiting)
        except JobError:
            if not delete_abandoned(waiting.keys() - upload.keys() - self.announced.keys(), needed, waiting):
                raise
            self.check_disk(jobs, needed, waiting)

    def check_disk(self, jobs: Jobs, needed: int, waiting: dict[Path, int]) -> None:
        """Raise JobError unless `needed` more bytes fit on the disk space of the page. No job is deleted for it yet."""
        with jobs.store.writing() as session:
            make_room(session, jobs.settings, needed, jobs.options.spare_bytes, waiting=sum(waiting.values()))
            session.rollback()  # the bytes are only announced

    async def store(self, jobs: Jobs, request: Request, place: Path) -> Response:
        """Read the files of a request into `place`. If that fails, all of the upload's requests are deleted."""
        upload_id = request.query_params.get("upload_id", "")
        progress, paths = self.progress.begin(upload_id), []
        try:
            form = FormFiles(request.headers.get("content-type", ""), place, progress.add)
            arrived = await asyncio.wait_for(form.read(request.stream(), self.threads), self.upload_seconds)
            check_size(form.size, jobs.settings.upload_megabytes)
            paths = arrived
            if len(paths) > MAX_NAMED:
                await run_in_threadpool(bundle, place, paths)
            return JSONResponse([str(place)] if len(paths) > MAX_NAMED else [str(path) for path in paths])
        except (ClientDisconnect, asyncio.TimeoutError, FormError, OSError) as error:
            text, status = self.explained(error)
            return self.refusal(jobs, request, text, status)
        except JobError as error:
            return self.refusal(jobs, request, str(error), 413)
        finally:
            progress.end()
            self.announced.pop(place, None)
            if not paths:
                await to_thread.run_sync(self.delete_upload, place, bool(upload_id), limiter=self.threads)

    def delete_upload(self, place: Path, in_parts: bool) -> None:
        """Delete the files of a request that failed, and of the others of the same upload if it came in parts."""
        group = place.name[: VISITOR_DIGITS + 1 + GROUP_DIGITS]
        others = place.parent.glob(f"{group}-*") if in_parts else []
        for part in {place, *others} - self.announced.keys():
            shutil.rmtree(part, ignore_errors=True)

    def explained(self, error: Exception) -> tuple[str, int]:
        """Return in words why an upload could not be read, and the HTTP status."""
        if isinstance(error, ClientDisconnect):  # or more bytes arrived than were announced
            return "The upload was interrupted. Try again.", 400
        if isinstance(error, asyncio.TimeoutError):
            text = (
                f"The upload stood nearly still for {self.idle_seconds:g} seconds or took more than "
                f"{self.upload_seconds / 60:.0f} minutes. Try again, with fewer or smaller pictures."
            )
            return text, 408
        if isinstance(error, OSError):
            return f"The upload could not be stored ({error.strerror}). Try again later.", 507
        return str(error), 400


def check_size(size: int, most: int, around: int = 0) -> None:
    """Raise JobError when an upload of `size` bytes has more than `most` megabytes. around: bytes beside the files."""
    if size > most * MEGABYTE + around:
        raise JobError(
            f"This upload has {megabytes(size)} or more; this page takes {most:,} MB (GANIME_UPLOAD_MEGABYTES). Upload "
            "fewer or smaller pictures; 256 px per side are enough."
        )
