"""The part of `tests.hub_server` that rents out machines: their prices, jobs, and their logs as server-sent events."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

HARDWARE = [
    {
        "name": "cpu-basic",
        "prettyName": "CPU Basic",
        "cpu": "2 vCPU",
        "ram": "16 GB",
        "unitCostMicroUSD": 167,
        "unitCostUSD": 0.000167,
        "unitLabel": "minute",
    },
    {
        "name": "t4-small",
        "prettyName": "Nvidia T4 - small",
        "cpu": "4 vCPU",
        "ram": "15 GB",
        "accelerator": {"type": "gpu", "model": "T4", "quantity": "1", "vram": "16 GB", "manufacturer": "Nvidia"},
        "unitCostMicroUSD": 6667,
        "unitCostUSD": 0.006667,
        "unitLabel": "minute",
    },
]


@dataclass
class Job:
    """A job: what was asked for, its log, and its stage when the log has ended; `running` holds the log open."""

    id: str
    wanted: dict[str, Any]
    log: list[str] = field(default_factory=list)
    stage: str = "RUNNING"
    message: str | None = None
    goes_on: threading.Event = field(default_factory=threading.Event)


class JobEndpoints:
    """Answers about jobs. A mixin of the handler. The hub's `on_job` is called with every new job, and plays it."""

    hub: Any
    answer: Callable[..., None]
    account: Callable[[], str]
    refuse: Callable[..., None]
    send_response: Callable[..., None]
    send_header: Callable[..., None]
    end_headers: Callable[..., None]
    wfile: Any

    def tell_of_jobs(self, parts: list[str], mode: str) -> None:
        """/api/jobs/hardware, /api/jobs/OWNER/ID and .../logs."""
        if parts == ["hardware"]:
            return self.answer(HARDWARE, mode)
        job = self.find_job(parts)
        if job is None:
            return self.refuse(404, "", "no such job")
        if parts[2:] == ["logs"]:
            return self.tell_log(job)
        return self.answer(self.describe_job(job), mode)

    def tell_log(self, job: Job) -> None:
        """The lines that are there, and the others once the job goes on."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        told = 0
        for seconds in (0, 10):
            job.goes_on.wait(seconds)
            for text in job.log[told:]:
                line = {"timestamp": "2026-01-01T00:00:00.000Z", "data": text}
                self.wfile.write(f"data: {json.dumps(line)}\n\n".encode())
            self.wfile.flush()
            told = len(job.log)

    def take_job(self, parts: list[str], wanted: dict[str, Any], mode: str) -> None:
        """POST /api/jobs/OWNER starts a job, .../ID/cancel ends it."""
        if parts[0] != self.account():
            return self.refuse(403, "", "not your account")
        if len(parts) == 1:
            if self.hub.free_accounts:
                return self.refuse(402, "", "Pre-paid credits are needed")
            job = Job(f"job{len(self.hub.jobs)}", wanted)
            self.hub.jobs.append(job)
            self.hub.on_job(job)
            return self.answer(self.describe_job(job), mode)
        job = self.find_job(parts)
        if job is None or parts[2:] != ["cancel"]:
            return self.refuse(404, "", "no such job")
        job.stage = "CANCELED"
        job.goes_on.set()
        return self.answer({}, mode)

    def find_job(self, parts: list[str]) -> Job | None:
        mine = len(parts) > 1 and parts[0] == self.account()
        return next((job for job in self.hub.jobs if mine and job.id == parts[1]), None)

    def describe_job(self, job: Job) -> dict[str, Any]:
        owner = {"id": "1", "name": self.account(), "type": "user"}
        status = {"stage": job.stage, "message": job.message}
        return {"id": job.id, "createdAt": "2026-01-01T00:00:00.000Z", "status": status, "owner": owner, **job.wanted}
