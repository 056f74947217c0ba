"""The part of `tests.hub_server` that takes repositories, commits and large files, as the hub's own endpoints do."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any
from urllib.parse import unquote

import yaml

LICENCES = ("mit", "openrail", "cc-by-nc-4.0", "cc0-1.0", "other", "unknown")  # of the many that the hub knows
LARGE = re.compile(r"\.(safetensors|webp|png|zip|woff2|wasm)$")  # uploaded as large files, by name


class Uploads:
    """Answers POST and PUT. A mixin of the handler: `hub`, `headers`, `command`, `send` and `refuse` are its own."""

    hub: Any
    headers: Any
    command: str
    path: str
    rfile: Any

    def send(self, status: int, body: bytes, mode: str, headers: dict[str, str]) -> None:
        raise NotImplementedError

    def refuse(self, status: int, code: str, message: str) -> None:
        raise NotImplementedError

    def body(self) -> bytes:
        """The body of the request, sent at once or in chunks."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()  # else the connection would be reset and not closed
            return content
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def account(self) -> str:
        """The user whose token the request has, empty for none."""
        return self.hub.accounts.get(self.headers.get("Authorization", "").removeprefix("Bearer "), "")

    def take_job(self, parts: list[str], wanted: dict[str, Any], mode: str) -> None:
        raise NotImplementedError

    def answer(self, value: Any, mode: str = "ok", status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), mode, {"Content-Type": "application/json"})

    def take(self, path: str, body: bytes, mode: str) -> None:
        """Route a request that changes something, or asks who the user is."""
        if match := re.fullmatch(r"/storage/([0-9a-f]{64})", path):
            content = bytes(byte ^ 1 for byte in body) if mode == "wrong hash" else body
            self.hub.objects[match[1]] = content
            return self.answer({})  # without a token, as a place for files is no hub
        if not self.account():
            return self.refuse(401, "", "Invalid username or password.")
        if path == "/api/whoami-v2":
            return self.answer({"type": "user", "name": self.account(), "orgs": []})
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path == "/api/validate-yaml":
            return self.validate(json.loads(body))
        if path == "/objects/verify":
            return self.verify(json.loads(body))
        if path.startswith("/api/jobs/"):
            return self.take_job(path.split("/")[3:], json.loads(body) if body else {}, mode)
        if match := re.fullmatch(r"/(?:spaces/|datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self.batch(json.loads(body), mode)
        if match := re.fullmatch(
            r"/api/(model|space|dataset)s/([^/]+/[^/]+)/(preupload/|commit/|variables)([^/]*)", path
        ):
            kind, repo_id, action, revision = match.groups()
            if repo_id not in self.hub.repositories[kind]:
                return self.refuse(404, "RepoNotFound", "Repository not found")
            if repo_id.partition("/")[0] != self.account():
                return self.refuse(403, "", "Forbidden: pass `create_pr=1` as a query parameter to create a PR")
            if action == "variables":
                value = json.loads(body)
                self.hub.repositories[kind][repo_id].variables[value["key"]] = value["value"]
                return self.answer({value["key"]: {"value": value["value"]}})
            if action == "preupload/":
                return self.preupload(kind, repo_id, json.loads(body))
            return self.take_commit(kind, repo_id, unquote(revision), body)
        return self.refuse(404, "", f"no endpoint {path}")

    def create(self, wanted: dict[str, Any]) -> None:
        kind, owner = wanted.get("type", "model"), wanted["organization"] or self.account()
        repo_id, prefix = f"{owner}/{wanted['name']}", "" if kind == "model" else f"{kind}s/"
        url = f"{self.hub.endpoint}/{prefix}{repo_id}"
        if owner != self.account():
            return self.refuse(403, "", "You don't have the rights to create a repository under this namespace")
        if repo_id in self.hub.repositories[kind]:
            return self.answer({"error": f"You already created this {kind} repo", "url": url}, status=409)
        if wanted.get("sdk") == "gradio" and self.hub.free_accounts:
            return self.refuse(402, "", "Subscribe to PRO to create Gradio Spaces")
        private = wanted.get("visibility") == "private"
        self.hub.create(kind, repo_id, private, wanted.get("sdk", ""), wanted.get("hardware", ""))
        return self.answer({"url": url, "name": repo_id})

    def validate(self, card: dict[str, Any]) -> None:
        """As far as the hub's own check of front matter is known: YAML, and the names of licences."""
        front = re.match(r"---\n(.*?)\n---\n", card["content"], re.DOTALL)
        try:
            values = yaml.safe_load(front[1]) if front else {}
        except yaml.YAMLError:
            return self.answer({"errors": [{"message": "YAML is invalid"}], "warnings": []}, status=400)
        if values.get("license", "mit") not in LICENCES:
            return self.answer({"errors": [{"message": '"license" must be one of [...]'}], "warnings": []}, status=400)
        return self.answer({"errors": [], "warnings": []})

    def preupload(self, kind: str, repo_id: str, wanted: dict[str, Any]) -> None:
        known = self.hub.repositories[kind][repo_id].files
        files = []
        for file in wanted["files"]:
            large, content = bool(LARGE.search(file["path"])), known.get(file["path"])
            entry = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            if content is not None:
                digest = hashlib.sha256(content) if large else hashlib.sha1(b"blob %d\0" % len(content) + content)
                entry["oid"] = digest.hexdigest()
            files.append(entry)
        self.answer({"files": files})

    def batch(self, wanted: dict[str, Any], mode: str) -> None:
        """Where to send the large files; those that are here already need not be sent."""
        objects = []
        for file in wanted["objects"]:
            if not self.is_stored(file["oid"]):
                place = f"http://localhost:{self.hub.port}/storage/{file['oid']}"
                verify = {"href": f"{self.hub.endpoint}/objects/verify"}
                file = file | {"actions": {"upload": {"href": place}, "verify": verify}}
            objects.append(file)
        self.answer({"transfer": "basic", "objects": objects}, mode)

    def verify(self, file: dict[str, Any]) -> None:
        if self.is_stored(file["oid"]):
            return self.answer({})
        return self.refuse(422, "", "The content does not have this SHA-256")

    def is_stored(self, checksum: str) -> bool:
        content = self.hub.objects.get(checksum)
        return content is not None and hashlib.sha256(content).hexdigest() == checksum

    def take_commit(self, kind: str, repo_id: str, revision: str, body: bytes) -> None:
        """One line of JSON for each file, which is added or deleted."""
        files = dict(self.hub.repositories[kind][repo_id].files)
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if not self.is_stored(value["oid"]):
                    return self.refuse(400, "", "LFS pointer pointed to a file that does not exist")
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        commit = self.hub.commit(kind, repo_id, files, revision)
        url = f"{self.hub.endpoint}/{'' if kind == 'model' else f'{kind}s/'}{repo_id}/commit/{commit}"
        return self.answer({"success": True, "commitOid": commit, "commitUrl": url})
