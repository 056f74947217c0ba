"""A Hugging Face hub in miniature, on 127.0.0.1: serves repositories, takes uploads, and fails on demand as a hub can.

with HubServer() as hub:
    hub.add_model("owner/name", folder)            # branch main; add again with revision="v1" for a tag
    pull("owner/name", cache, endpoint=hub.endpoint)
    hub.mode = "slow"
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from huggingface_hub import constants

from tests.hub_jobs import Job, JobEndpoints
from tests.hub_uploads import Uploads

LARGE_FILES = (".safetensors", ".bin", ".pt", ".pth")  # kept in Git LFS, and handed over from another host

MODES = {
    "ok": "answers",
    "down": "nobody listens on the port",
    "401": "wants a token for everything",
    "403": "has the token, but it may not read this",
    "gated": "the conditions of the model were not accepted",
    "404": "has no models at all",
    "gone": "lists files that it does not have",
    "429": "too many requests, come back in an hour",
    "500": "broken",
    "no hub": "a web page that answers everything with HTML",
    "slow": "says nothing for `delay` seconds",
    "drip": "sends its body byte by byte, ten in a second",
    "drip headers": "never comes to the end of its headers",
    "truncated": "hangs up in the middle of the body",
    "short": "ends half-way without having said how much there is",
    "wrong hash": "sends, or stores, other bytes of the right size",
    "cut": "hangs up without an answer",
}


@dataclass(frozen=True)
class Request:
    """One request that came in; authorization: the header of that name, empty where there was none."""

    method: str
    path: str
    authorization: str


@dataclass
class Repository:
    """refs: branch or tag -> commit; commits: commit -> file name -> content.

    sdk, hardware, variables: of a Space.
    """

    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: bool = False
    sdk: str = ""
    hardware: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the branch main."""
        return self.commits[self.refs["main"]]


class HubServer:
    """A hub to be used in a `with` statement.

    endpoint: its address. requests: what was asked of it so far.
    mode: one of MODES, can be changed at any time. only: a part of the path; requests without it are served as "ok".
    times: how many requests the mode is for, None for all. delay: seconds that "slow" waits.
    token: when set, only requests with it see any model.
    accounts: token -> name of the user, who may write to the repositories of that name.
    free_accounts: whether none of them may have a Gradio Space.
    jobs: that were started; on_job: called with each, plays it.
    objects: SHA-256 -> content of the large files that were uploaded.
    claimed_sizes: file name -> size in bytes, for files whose size the listing is to give wrongly.
    listing: when set, the body of every listing of files.
    """

    def __init__(self, mode: str = "ok") -> None:
        self.repositories: dict[str, dict[str, Repository]] = {"model": {}, "space": {}, "dataset": {}}
        self.models, self.spaces = self.repositories["model"], self.repositories["space"]
        self.datasets = self.repositories["dataset"]
        self.jobs: list[Job] = []
        self.on_job: Callable[[Job], None] = lambda job: job.goes_on.set()
        self.accounts: dict[str, str] = {}
        self.free_accounts = False
        self.objects: dict[str, bytes] = {}
        self.times: int | None = None
        self.lock = threading.Lock()
        self.requests: list[Request] = []
        self.only = ""
        self.delay = 30.0
        self.token = ""
        self.claimed_sizes: dict[str, int] = {}
        self.listing = b""
        self.closing = threading.Event()
        self._mode = "ok"
        self._server = _Listener(("127.0.0.1", 0), self)
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._serve()
        self.mode = mode

    def __enter__(self) -> HubServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def become_default(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of huggingface.co in this process."""
        patch.setattr(constants, "ENDPOINT", self.endpoint)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("https://huggingface.co", self.endpoint)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    def close(self) -> None:
        """Stop listening and wake all that sleep."""
        self.closing.set()
        if self._mode != "down":
            self._stop()
        self._mode = "down"

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is one of {', '.join(MODES)}; got {mode!r}")
        was, self._mode = self._mode, mode
        if mode == "down" and was != "down":
            self._stop()
        elif was == "down" and mode != "down":
            self._server = _Listener(("127.0.0.1", self.port), self)
            self._serve()

    def add_model(self, repo_id: str, folder: Path, revision: str = "main") -> str:
        """Commit the folder's files, as they are now, to a branch or tag of the model; returns the full commit."""
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        return self.commit("model", repo_id, files, revision)

    def create(self, kind: str, repo_id: str, private: bool = False, sdk: str = "", hardware: str = "") -> None:
        """Create a repository with what every new one contains."""
        self.repositories[kind][repo_id] = Repository(private=private, sdk=sdk, hardware=hardware)
        self.commit(kind, repo_id, {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})

    def commit(self, kind: str, repo_id: str, files: dict[str, bytes], revision: str = "main") -> str:
        """Make these the files of a branch or tag; returns the full commit."""
        listing = "".join(f"{name} {git_checksum(content)}\n" for name, content in sorted(files.items()))
        commit = hashlib.sha1(f"{repo_id}\n{listing}".encode()).hexdigest()
        repository = self.repositories[kind].setdefault(repo_id, Repository())
        repository.commits[commit] = files
        repository.refs[revision] = commit
        return commit

    def spend(self) -> bool:
        """Whether the mode is for this request, too."""
        with self.lock:
            if self.times is None:
                return True
            self.times -= 1
            return self.times >= 0

    def find(self, kind: str, repo_id: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a revision of a repository stands for and its files."""
        repository = self.repositories[kind][repo_id]
        commit = repository.refs.get(revision, revision)
        return (commit, repository.commits[commit]) if commit in repository.commits else None

    def _serve(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def git_checksum(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], hub: HubServer) -> None:
        self.hub = hub
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error here."""


class _Handler(JobEndpoints, Uploads, BaseHTTPRequestHandler):
    """HTTP/1.0: a connection for each request, so that nothing is left open when the hub goes down."""

    @property
    def hub(self) -> HubServer:
        return cast("_Listener", self.server).hub

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the requests are in `HubServer.requests`."""

    def do_HEAD(self) -> None:
        self.respond()

    def do_GET(self) -> None:
        self.respond()

    def do_POST(self) -> None:
        self.respond()

    def do_PUT(self) -> None:
        self.respond()

    def respond(self) -> None:
        hub = self.hub
        url = urlsplit(self.path)
        hub.requests.append(Request(self.command, self.path, self.headers.get("Authorization", "")))
        mode = hub.mode if hub.mode != "ok" and hub.only in self.path and hub.spend() else "ok"
        if mode == "slow":
            hub.closing.wait(hub.delay)
        if mode == "cut":
            return
        body = self.body()
        if mode == "drip headers":
            self.drip(b"HTTP/1.0 200 OK\r\nX-Endless: " + b"." * 60_000)
        elif mode in _REFUSALS:
            self.refuse(*_REFUSALS[mode])
        elif mode == "no hub":
            self.send(200, b"<html>Welcome!</html>", mode, {"Content-Type": "text/html"})
        elif url.path.startswith("/cdn/"):
            self.send_large(url.path.removeprefix("/cdn/"), mode)
        elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self.refuse(*_REFUSALS["401"])
        elif self.command in ("POST", "PUT") or url.path == "/api/whoami-v2":
            self.take(url.path, body, mode)
        elif url.path.startswith("/api/jobs/"):
            self.tell_of_jobs(url.path.split("/")[3:], mode)
        elif url.path.startswith(("/api/models/", "/api/spaces/", "/api/datasets/")):
            kind, *parts = url.path.split("/")[2:]
            self.send_listing(kind.removesuffix("s"), parts, parse_qs(url.query), mode)
        else:
            self.send_file(url.path.split("/")[1:], mode)

    def send_listing(self, kind: str, parts: list[str], query: dict[str, list[str]], mode: str) -> None:
        """/api/models/owner/name, .../revision/REVISION and .../tree/REVISION."""
        listed = parts[2] if len(parts) > 3 else "revision"
        found = self.find(kind, "/".join(parts[:2]), unquote(parts[3]) if len(parts) > 3 else "main")
        if found is None:
            return
        commit, files = found
        entries = [self.describe(name, content, bool(query.get("blobs"))) for name, content in sorted(files.items())]
        if listed == "tree":
            answer: Any = [{"type": "file", "path": e["rfilename"], "oid": e["blobId"], **e} for e in entries]
        else:
            repo_id = "/".join(parts[:2])
            private = self.hub.repositories[kind][repo_id].private
            answer = {"id": repo_id, "modelId": repo_id, "sha": commit, "private": private, "gated": False}
            answer |= {"tags": [], "downloads": 0, "siblings": entries}
        body = self.hub.listing or json.dumps(answer).encode()
        self.send(200, body, mode, {"Content-Type": "application/json"})

    def describe(self, name: str, content: bytes, blobs: bool) -> dict[str, Any]:
        size = self.hub.claimed_sizes.get(name, len(content))
        entry: dict[str, Any] = {"rfilename": name}
        if blobs or "/tree/" in self.path:
            entry |= {"size": size, "blobId": git_checksum(content)}
            if name.endswith(LARGE_FILES):
                entry["lfs"] = {"sha256": sha256(content), "oid": sha256(content), "size": size, "pointerSize": 130}
        return entry

    def send_file(self, parts: list[str], mode: str) -> None:
        """[/datasets|/spaces]/owner/name/resolve/REVISION/FILE; a large one is a redirection to another host."""
        kind = "model"
        if parts[0] in ("datasets", "spaces"):
            kind, parts = parts[0].removesuffix("s"), parts[1:]
        if len(parts) < 5 or parts[2] != "resolve":
            return self.refuse(404, "", "no such page")
        found = self.find(kind, "/".join(parts[:2]), unquote(parts[3]))
        if found is None:
            return None
        (commit, files), name = found, unquote("/".join(parts[4:]))
        if name not in files:
            return self.refuse(404, "EntryNotFound", f"no file {name}", {"X-Repo-Commit": commit})
        content = files[name]
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if not name.endswith(LARGE_FILES):
            return self.send(200, content, mode, headers | {"ETag": f'"{git_checksum(content)}"'})
        checksum = sha256(content)
        headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{checksum}"'}
        location = f"http://localhost:{self.hub.port}/cdn/{checksum}"
        return self.send(302, b"", "ok", headers | {"Location": location})

    def send_large(self, checksum: str, mode: str) -> None:
        repositories = [item for kind in self.hub.repositories.values() for item in kind.values()]
        for repository in repositories:
            for files in repository.commits.values():
                for content in files.values():
                    if sha256(content) == checksum:
                        return self.send(200, content, mode, {"ETag": f'"{checksum}"'})
        return self.refuse(404, "", "no such object")

    def find(self, kind: str, repo_id: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and its files; when there is none the answer has been sent and this is None."""
        repository = self.hub.repositories[kind].get(repo_id)
        if repository is None or (repository.private and self.account() != repo_id.partition("/")[0]):
            self.refuse(404, "RepoNotFound", "Repository not found")
            return None
        found = self.hub.find(kind, repo_id, revision)
        if found is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        """An error as the hub words it; the message quotes the request's token, which no client may pass on."""
        headers = dict(headers or {}, **{"X-Error-Message": f"{message} {self.headers.get('Authorization', '')}"})
        if code:
            headers["X-Error-Code"] = code
        if status == 429:
            headers["Retry-After"] = "3600"
        self.send(status, json.dumps({"error": message}).encode(), "ok", headers)

    def send(self, status: int, body: bytes, mode: str, headers: dict[str, str]) -> None:
        if mode == "wrong hash":
            body = bytes(byte ^ 1 for byte in body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if mode != "short":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if mode == "drip":
            self.drip(body)
        else:
            self.wfile.write(body[: len(body) // 2] if mode in ("truncated", "short") else body)

    def drip(self, data: bytes) -> None:
        for position in range(len(data)):
            self.wfile.write(data[position : position + 1])
            if self.hub.closing.wait(0.1):
                return


_REFUSALS = {
    "401": (401, "RepoNotFound", "Invalid username or password."),
    "403": (403, "", "Forbidden"),
    "gated": (403, "GatedRepo", "Access to this model is restricted."),
    "404": (404, "RepoNotFound", "Repository not found"),
    "gone": (404, "EntryNotFound", "Entry not found"),
    "429": (429, "", "Too many requests"),
    "500": (500, "", "Internal error"),
}
