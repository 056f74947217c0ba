"""Processes that start at once: a server that has imported the slow packages forks them."""

from __future__ import annotations

import multiprocessing

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["accelerate", "app.jobs.service", "ganime.cli", "psutil", "pytest", "torch._dynamo"])
