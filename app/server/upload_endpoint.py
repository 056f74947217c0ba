"""The way in for files: Gradio's upload endpoint, behind this page's limits on who, how much and on how much disk."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import threading
from contextlib import suppress
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
from app.jobs.store import digest
from app.jobs.uploads import arrivals
from app.server.request_limits import UPLOAD, counted, forget
from app.settings import MEGABYTE
from app.visitors import Visitor, profile_of, visitor_of

CLOSED = (f"{API_PREFIX}/process_recording", f"{API_PREFIX}/deep_link")  # write files too; nothing here needs them
AROUND = MEGABYTE  # what stands around the files of one request: names and boundaries
VISITOR_DIGITS = 32  # of a visitor's digest, with which the folders of their uploads begin
FOLDER_BYTES, FILE_BYTES = MEGABYTE, 8 * 1024  # the least that a request and a file count: a small one costs, too
MOST_FOLDERS = 16  # requests of one visitor whose files wait
READING_SECONDS = 900.0  # that one request may take
TOLD_SECONDS = 60.0  # that the end of an upload can be asked for


class Arrivals:
    """Takes in uploads; each request has a folder of its own, whose name cannot be guessed.

    What one visitor has uploaded and not yet begun with counts together, and what all have counts to the disk of the
    page. jobs: None where nobody trains; `no_jobs` then says why nothing is taken.
    """

    def __init__(self, jobs: Jobs | None, no_jobs: str) -> None:
        self.jobs, self.no_jobs = jobs, no_jobs
        self.coming: dict[Path, int] = {}  # bytes that requests which are still read have announced
        self.admitting = threading.Lock()

    def routes(self) -> list[Route]:
        """The endpoints that stand in for Gradio's own."""
        closed = [Route(path, self.closed, methods=["GET", "POST"]) for path in CLOSED]
        return [Route(UPLOAD, self.upload, methods=["POST"]), *closed]

    async def closed(self, request: Request) -> Response:
        return PlainTextResponse("There is no such thing on this page.", 404)

    async def upload(self, request: Request) -> Response:
        """Store the files of a multipart form and answer with their paths, as Gradio's own endpoint does."""
        if self.jobs is None:
            return PlainTextResponse(self.no_jobs, 403)
        if "transfer-encoding" in request.headers or not request.headers.get("content-length", "").isdecimal():
            return PlainTextResponse("An upload has to say beforehand how long it is (Content-Length).", 411)
        visitor = visitor_of(request, profile_of(request), self.jobs.settings.proxies)
        try:
            check_visitor(visitor, self.jobs.settings)
        except JobError as error:
            return PlainTextResponse(str(error), 403)
        length = int(request.headers["content-length"])
        try:
            place = await run_in_threadpool(self.admit, self.jobs, visitor, length)
        except JobError as error:
            return PlainTextResponse(str(error), 413)
        return await self.stored(self.jobs, Request(request.scope, counted(request.receive, length)), place)

    def admit(self, jobs: Jobs, visitor: Visitor, length: int) -> Path:
        """A folder for a request of so many bytes. Raises JobError where there is no room for them."""
        settings, needed = jobs.settings, max(length, FOLDER_BYTES)
        folder, whose = arrivals(settings), digest(visitor.identity)[:VISITOR_DIGITS]
        with explain_disk_errors("The upload could not be kept"), self.admitting:
            waiting, most = self.waiting(folder), settings.upload_megabytes
            mine = [size for place, size in waiting.items() if place.name.startswith(whose)]
            if len(mine) >= MOST_FOLDERS:
                raise JobError(
                    f"{len(mine)} uploads of yours wait already, which is as many as this page takes. Begin with "
                    "them, or upload a zip, or all pictures at once."
                )
            if sum(mine) + length > most * MEGABYTE + AROUND:
                before = f" beside {sum(mine) / MEGABYTE:,.0f} MB that wait already" if mine else ""
                raise JobError(
                    f"This upload has {length / MEGABYTE:,.0f} MB{before}; this page takes {most:,} MB in all "
                    "(GANIME_UPLOAD_MEGABYTES). Upload fewer or smaller pictures; 256 px a side is plenty."
                )
            with jobs.store.writing() as session:
                make_room(session, settings, needed, waiting=sum(waiting.values()))
                session.rollback()  # no job gives way yet: announced is not sent
            place = folder / f"{whose}-{secrets.token_urlsafe(16)}"
            place.mkdir(parents=True, mode=0o700)
            self.coming[place] = needed
        return place

    def waiting(self, folder: Path) -> dict[Path, int]:
        """The bytes that are here or announced, by the folder of their request."""
        return {place: self.coming.get(place) or taken(place) for place in folder.glob("*")}

    def give_way(self, jobs: Jobs) -> None:
        """Old ended jobs make room for what has really come."""
        come = sum(taken(place) for place in arrivals(jobs.settings).glob("*"))
        with jobs.store.writing() as session:
            make_room(session, jobs.settings, 0, waiting=come)

    async def stored(self, jobs: Jobs, request: Request, place: Path) -> Response:
        """Read the files into `place`, which goes again when that fails."""
        most, name = jobs.settings.upload_megabytes, request.query_params.get("upload_id")
        answer, found = PlainTextResponse("The upload broke off. Try again.", 400), []
        try:
            progress = file_upload_statuses if name else None
            reading = upload_fn(request, place, most * MEGABYTE, name, upload_progress=progress)
            found, _, _ = await asyncio.wait_for(reading, READING_SECONDS)
            await run_in_threadpool(self.give_way, jobs)
            answer = JSONResponse([str(path) for path in found])
        except ClientDisconnect:  # or more came than was announced
            return answer
        except asyncio.TimeoutError:
            words = f"The upload took more than {READING_SECONDS / 60:.0f} minutes. Upload fewer or smaller pictures."
            answer = PlainTextResponse(words, 408)
        except MultiPartException as error:
            large = "maximum allowed size" in error.message
            words = f"A file has more than {most:,} MB, which is what this page takes (GANIME_UPLOAD_MEGABYTES)."
            answer = PlainTextResponse(words if large else error.message, 413 if large else 400)
        except JobError as error:
            answer = PlainTextResponse(str(error), 507)
        except OSError as error:
            answer = PlainTextResponse(f"The upload could not be kept ({error.strerror}). Try again later.", 507)
        finally:
            self.coming.pop(place, None)
            if name:
                file_upload_statuses.set_done(name)
                asyncio.get_running_loop().call_later(TOLD_SECONDS, forget, name)
            if answer.status_code != 200 or not found:
                await run_in_threadpool(shutil.rmtree, place, ignore_errors=True)
        return answer


def taken(place: Path) -> int:
    """What the files of one request count, at least so much each and together."""
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(FileNotFoundError):  # gone meanwhile
                total += max(Path(folder, name).lstat().st_size, FILE_BYTES)
    return max(total, FOLDER_BYTES)
