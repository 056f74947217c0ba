"""Programs that start at once: forked from a nursery, which has imported the slow packages, for all tests of a run.

`python nursery.py PLACE PROGRAM ...` runs `python PROGRAM ...` in a child of the nursery, with the environment, folder,
priority, input and output of this process. It passes on signals, ends as the child ends, and the child does not
outlive it.

PROGRAM: a path, -m and a module, or -c and code.
PLACE: the nursery's socket and, after a colon, the process that it must not outlive. Its first user starts it.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

PRELOADED = ("accelerate", "app.page", "ganime.cli", "torch._dynamo")
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
SECONDS = 240  # for the nursery to import all that
VARIABLE = "TESTS_NURSERY"


def place_for(owner: int, folder: str) -> str:
    """The place of the nursery of a run of the tests. owner: the process that began it. folder: nobody else's."""
    return f"{folder}/nursery:{owner}"


def command(*program: str) -> tuple[str, ...]:
    """The command that runs a program in the nursery of this run, or by itself where there is none."""
    place = os.environ.get(VARIABLE) if sys.platform == "linux" else None
    return (sys.executable, "-S", __file__, place, *program) if place else (sys.executable, *program)


# --- the process that stands for the child


def stand_for(place: str, program: list[str]) -> None:
    path, _, owner = place.rpartition(":")
    with connected(path, owner) as nursery:
        request = {"program": program, "cwd": str(Path.cwd()), "nice": os.nice(0), "variables": dict(os.environ)}
        data = json.dumps(request).encode()
        socket.send_fds(nursery, [struct.pack("I", len(data))], [0, 1, 2])
        nursery.sendall(data)
        child = struct.unpack("I", received(nursery, 4))[0]
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: os.kill(child, number))
        status = os.waitstatus_to_exitcode(struct.unpack("I", received(nursery, 4))[0])
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def connected(path: str, owner: str) -> socket.socket:
    """A connection to the nursery, which is started if it is not there."""
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process, end = None, time.monotonic() + SECONDS
        while True:
            found = socket.socket(socket.AF_UNIX)
            try:
                found.connect(path)
                return found
            except OSError:
                found.close()
            if process is None:
                process = start(path, owner)
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"The nursery did not start; {path}.log says why.")
            time.sleep(0.05)


def start(path: str, owner: str) -> subprocess.Popen[bytes]:
    with Path(f"{path}.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, __file__, f"{path}:{owner}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def received(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError("The other side has gone.")
        data += part
    return data


# --- the nursery


def nurse(path: str, owner: int) -> list[str]:
    """Fork children until the owner has ended; returns in each child, with its program."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # children need not copy what they have in common
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(1)
        while is_alive(owner):
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            try:
                request, files = read(connection)
            except (EOFError, OSError):  # killed before it was served
                connection.close()
                continue
            child = os.fork()
            if child == 0:
                connection.close()
                become(request, files)
                return request["program"]
            for file in files:
                os.close(file)
            threading.Thread(target=attend, args=(child, connection), daemon=True).start()
    raise SystemExit


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def read(connection: socket.socket) -> tuple[dict, list[int]]:
    connection.settimeout(10)
    data, files, _, _ = socket.recv_fds(connection, 4, 3)
    request = json.loads(received(connection, struct.unpack("I", data)[0]))
    connection.settimeout(None)
    return request, files


def attend(child: int, connection: socket.socket) -> None:
    """Say how a child has ended; kill it when the process that stands for it has been killed."""
    with connection, suppress(ConnectionError):
        end = os.pidfd_open(child)
        try:
            connection.sendall(struct.pack("I", child))
            select.select([end, connection], [], [])
        finally:
            with suppress(ProcessLookupError):  # it has ended by itself
                signal.pidfd_send_signal(end, signal.SIGKILL)
            os.close(end)
            status = os.waitpid(child, 0)[1]
        connection.sendall(struct.pack("I", status))


def become(request: dict, files: list[int]) -> None:
    """Make this process what was asked for, up to its program."""
    os.setsid()
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["variables"])
    os.chdir(request["cwd"])
    os.nice(request["nice"] - os.nice(0))
    importlib.reload(importlib.import_module("huggingface_hub.constants"))  # which has read other variables
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def run(program: list[str]) -> None:
    """Run the program; the process ends without taking all modules apart, which takes a second."""
    status = 1
    atexit.register(lambda: (sys.stdout.flush(), sys.stderr.flush(), os._exit(status)))
    try:
        if program[0] == "-c":
            sys.argv, sys.path[0] = ["-c", *program[2:]], str(Path.cwd())
            exec(compile(program[1], "<string>", "exec"), {"__name__": "__main__"})
        elif program[0] == "-m":
            sys.argv, sys.path[0] = program[1:], str(Path.cwd())
            runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = program, str(Path(program[0]).parent)
            runpy.run_path(program[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = int(end.code is not None) if not isinstance(end.code, int) else end.code
    except BaseException:
        traceback.print_exc()


if __name__ == "__main__":
    place, *rest = sys.argv[1:]
    if rest:
        stand_for(place, rest)
    else:
        sys.path[0] = str(Path(__file__).resolve().parent.parent)
        path, _, owner = place.rpartition(":")
        run(nurse(path, int(owner)))
