"""Training in several processes: same steps as one process, one common end, one log, a clear error when one dies.

Tests that start processes are marked slow.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import nn

from ganime import cli
from ganime.config import RECIPES, ModelConfig, TrainConfig
from ganime.errors import ConfigError, GanimeError, TrainingError
from ganime.faces.dataset import FaceDataset, load_faces
from ganime.training import loop, step
from ganime.training.distributed import Processes
from ganime.training.events import Done, Event, Notice, Saved, Step
from ganime.training.loop import train
from ganime.training.run_folder import TrainingState, saves
from ganime.training.session import Reporting
from tests.forking import CONTEXT
from tests.ganime.training import common
from tests.ganime.training.common import BATCH, QUICK, assert_same, of_kind

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")
TINY = ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16)


def configured(recipe: str = "modern", model: dict[str, Any] | None = None, **changes: Any) -> tuple[Any, Any]:
    """A quick TrainConfig of the recipe with these changes, and the ModelConfig that goes with it."""
    quick = QUICK | {"augment": "none"}
    shape = {name: vars(RECIPES[recipe][1])[name] for name in ("generator_norm", "discriminator_norm")}
    config = TrainConfig(**(vars(RECIPES[recipe][0]) | quick | changes))
    return config, ModelConfig(**(vars(TINY) | shape | (model or {})))


# --- helpers: several processes in one run


def environment(rank: int, port: int) -> dict[str, str]:
    """The environment variables that a launcher sets for one of two processes."""
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in variables.items()} | {"OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call_in_process(
    connection: Any, rank: int, port: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(environment(rank, port))
    torch.set_num_threads(1)
    try:
        connection.send(function(rank, *arguments))
    except GanimeError as error:
        connection.send(error)


def together(function: Callable[..., Any], *arguments: Any, port: int = 0, count: int = 2) -> list[Any]:
    """The results of `function(rank, *arguments)` in `count` processes of a run of two; a GanimeError is returned."""
    port, ends = port or free_port(), [CONTEXT.Pipe(duplex=False) for _ in range(count)]
    processes = [
        CONTEXT.Process(target=call_in_process, args=(end, rank, port, function, arguments))
        for rank, (_, end) in enumerate(ends)
    ]
    try:
        for process, (_, end) in zip(processes, ends, strict=True):
            process.start()
            end.close()
        return [receiver.recv() for receiver, _ in ends]
    finally:
        for process in processes:
            process.join(10)
            process.kill()
            process.join()


def losses(events: list[Event]) -> list[float]:
    return [loss for event in of_kind(events, Step) for loss in (event.d_loss, event.g_loss)]


def digest(state: TrainingState) -> str:
    """A digest of all weights, and of the statistics and singular vectors of the nets that learn.

    The statistics of the moving average are left out: only the process that shows and saves it computes them.
    """
    nets = (state.generator, *state.judges)
    tensors = [*(tensor for net in nets for tensor in net.state_dict().values()), *state.ema.parameters()]
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


def train_runs(rank: int, faces: FaceDataset, runs: list[tuple[Path, TrainConfig, ModelConfig]]) -> list[Any]:
    """Train one run after the other. Returns the events and the digest of the final state for each."""
    made: list[TrainingState] = []
    create = TrainingState.create

    def remember(*arguments: Any) -> TrainingState:
        made.append(create(*arguments))
        return made[-1]

    TrainingState.create = remember  # type: ignore[method-assign]
    reporting = Reporting(report_steps=5)
    return [
        (list(train(faces, folder, config, model, reporting=reporting)), digest(made[-1]))
        for folder, config, model in runs
    ]


def state_of(run: Path) -> dict[str, Any]:
    """The contents of a run's last save, except for the seconds it took."""
    return common.state_of(saves(run)[-1])


# --- the same steps


KINDS: dict[str, dict[str, Any]] = {
    "modern": {},
    "critic": {"critic": 1.0},
    "spectral": {"model": {"generator_norm": "spectral"}},
    "classic": {"recipe": "classic"},
    "unnormed": {"loss": "bce", "model": {"generator_norm": "none", "discriminator_norm": "none"}},
}


@pytest.fixture(scope="module")
def alone_and_together(faces: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """The folder and the results of 10 steps of every kind, by one process and by two."""
    folder = tmp_path_factory.mktemp("kinds")
    kinds = [(name, *configured(steps=10, **changes)) for name, changes in KINDS.items()]
    alone = train_runs(0, faces, [(folder / f"{name}-alone", *settings) for name, *settings in kinds])
    both = together(train_runs, faces, [(folder / name, *settings) for name, *settings in kinds])
    return folder, alone, both


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "critic"])
def test_two_processes_make_the_steps_of_one(alone_and_together: tuple[Path, Any, Any], kind: str) -> None:
    """Equal except for rounding: losses differed by up to 4e-7; with BatchNorm per process, by at least 6e-4.

    A critic amplifies rounding: in ten steps of one process a change of 1e-7 in the weights grew to 3e-4 in its losses.
    """
    _, alone, both = alone_and_together
    number = list(KINDS).index(kind)
    expected = losses(alone[number][0])
    assert len(expected) == 4
    for runs in both:
        assert losses(runs[number][0]) == pytest.approx(expected, abs=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_processes_have_the_same_nets_to_the_bit(alone_and_together: tuple[Path, Any, Any], kind: str) -> None:
    number = list(KINDS).index(kind)
    (_, first), (_, second) = (runs[number] for runs in alone_and_together[2])
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["modern", "classic"])
def test_running_statistics_are_those_of_the_whole_batch(alone_and_together: tuple[Path, Any, Any], kind: str) -> None:
    alone, both = state_of(alone_and_together[0] / f"{kind}-alone"), state_of(alone_and_together[0] / kind)
    statistics = [(net, name) for net in ("generator", "discriminator") for name in alone[net] if ".running_" in name]
    assert len(statistics) >= 6
    for net, name in statistics:
        assert both[net][name] == pytest.approx(alone[net][name], rel=1e-3, abs=1e-3), name
        assert not torch.equal(alone[net][name], torch.full_like(alone[net][name], float("var" in name))), name


@pytest.mark.slow
def test_only_the_first_process_makes_previews_and_saves(alone_and_together: tuple[Path, Any, Any]) -> None:
    first, second = ([type(event).__name__ for event in runs[0][0]] for runs in alone_and_together[2])
    shown = [name for name in first if name not in ("Verdict", "Working")]
    assert shown == ["Preview", "Step", "Step", "Preview", "Saved", "Done"]
    assert [name for name in second if name != "Verdict"] == ["Step", "Step"]


@pytest.mark.slow
def test_two_processes_resume_bit_exactly_and_one_can_continue_their_run(faces: FaceDataset, tmp_path: Path) -> None:
    whole, half = configured(steps=12), configured(steps=5)
    runs = [("whole", whole), ("parts", half), ("parts", whole), ("one", half)]
    results = together(train_runs, faces, [(tmp_path / name, *settings) for name, settings in runs])
    assert_same(state_of(tmp_path / "parts"), state_of(tmp_path / "whole"))
    (steps, first), (_, second) = (result[2] for result in results)
    assert first == second
    events = list(train(faces, tmp_path / "one", *whole))
    assert [event.images for event in of_kind(events, Notice)] == [5 * BATCH]
    assert losses(events) == pytest.approx(losses(steps), abs=2e-5)


# --- all processes end in the same step


def asked_in_one(rank: int, faces: FaceDataset, run: Path, request: str) -> list[Event]:
    """Train; at the third step only the second process is asked to stop or save, or reaches its time limit."""
    steps = itertools.count(1)
    if request == "minutes":
        right = loop.limit_reached
        loop.limit_reached = lambda *state: "minutes" if rank and next(steps) == 3 else right(*state)
    should_stop = (lambda: bool(rank) and next(steps) == 3) if request == "stop" else (lambda: False)
    should_save = (lambda: bool(rank) and next(steps) == 3) if request == "save" else (lambda: False)
    return list(train(faces, run, *configured(steps=6), "cpu", should_stop, should_save))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "reason", "steps"), [("stop", "stopped", [3]), ("minutes", "minutes", [3]), ("save", "steps", [3, 6])]
)
def test_a_request_to_one_process_is_followed_by_all_in_the_same_step(
    faces: FaceDataset, tmp_path: Path, asked: str, reason: str, steps: list[int]
) -> None:
    first, second = together(asked_in_one, faces, tmp_path / "run", asked)
    for events in (first, second):
        assert [event.step for event in of_kind(events, Step)] == steps
    assert [event.images for event in of_kind(first, Saved)] == [step * BATCH for step in steps]
    assert [event.reason for event in of_kind(first, Done)] == [reason]


def broken_in_one(rank: int, faces: FaceDataset, run: Path) -> list[Any]:
    """Resume a run in which the loss of the second process is NaN at its second step."""
    right, calls = step.discriminator_loss, itertools.count(1)
    step.discriminator_loss = lambda *a: right(*a) * (float("nan") if rank and next(calls) == 2 else 1)
    return train_runs(rank, faces, [(run, *configured(steps=20))])


@pytest.mark.slow
def test_a_nan_loss_in_one_process_returns_all_to_the_last_save(faces: FaceDataset, tmp_path: Path) -> None:
    list(train(faces, tmp_path / "run", *configured(steps=5)))
    [(first, digest_a)], [(second, digest_b)] = together(broken_in_one, faces, tmp_path / "run")
    for events in (first, second):
        [_, rescued] = of_kind(events, Notice)
        assert (rescued.images, "half the learning rates" in rescued.text) == (5 * BATCH, True)
    assert digest_a == digest_b
    assert first[-1].images == 20 * BATCH
    assert state_of(tmp_path / "run")["rescues"] == 1
    lr = state_of(tmp_path / "run")["generator_optimizer"]["param_groups"][0]["lr"]
    assert lr == RECIPES["modern"][0].generator_lr / 2


# --- errors


def in_its_own_folder(rank: int, faces: FaceDataset, run: Path) -> list[Event]:
    return list(train(faces, run / str(rank), *configured(steps=6)))


@pytest.mark.slow
def test_processes_with_different_run_folders_are_refused(faces: FaceDataset, tmp_path: Path) -> None:
    list(train(faces, tmp_path / "0", *configured(steps=5)))
    for error in together(in_its_own_folder, faces, tmp_path):
        assert isinstance(error, ConfigError)
        assert "on a disk that they share" in str(error)


def out_of_memory_in_one(rank: int, faces: FaceDataset, run: Path) -> list[Event]:
    right = step.discriminator_loss

    def loss(*logits: Any) -> torch.Tensor:
        if rank:
            raise torch.OutOfMemoryError("no memory")
        return right(*logits)

    step.discriminator_loss = loss
    return list(train(faces, run, *configured(steps=6)))


@pytest.mark.slow
def test_a_process_out_of_memory_ends_the_run_with_an_error_in_each(faces: FaceDataset, tmp_path: Path) -> None:
    first, second = together(out_of_memory_in_one, faces, tmp_path / "run")
    assert isinstance(first, TrainingError)
    assert "has ended" in str(first)
    assert isinstance(second, TrainingError)
    assert "memory for 8 faces" in str(second)


@pytest.mark.parametrize(
    ("device", "variables", "message"),
    [
        ("mps", environment(0, 1), "cannot share the device 'mps'"),
        ("cuda:0", environment(0, 1), "cannot share the device 'cuda:0'"),
        ("cuda", environment(0, 1) | {"LOCAL_RANK": "99"}, "Process 100 of this machine has no GPU"),
        ("cpu", {"WORLD_SIZE": "2"}, "LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"),
    ],
)
def test_an_impossible_launch_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, variables: dict[str, str], message: str
) -> None:
    for name in environment(0, 1):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        Processes.join(device)


def test_without_accelerate_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0, 1).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ConfigError, match="pip install accelerate"):
        Processes.join("cpu")


def join(rank: int) -> Processes:
    return Processes.join("cpu")


@pytest.mark.slow
def test_processes_that_cannot_connect_report_the_reason() -> None:
    with socket.create_server(("0.0.0.0", 0)) as occupied:
        [error] = together(join, port=occupied.getsockname()[1], count=1)
    assert isinstance(error, TrainingError)
    assert "could not connect" in str(error)
    assert "address already in use" in str(error).lower()


def test_a_single_process_leads_and_changes_nothing() -> None:
    workers, layer = Processes.join("cpu"), nn.Sequential(nn.BatchNorm2d(3))
    assert (workers, workers.leads, workers.share(7)) == (Processes(CPU), True, slice(0, 7))
    workers.share_statistics(layer)
    assert type(layer[0]) is nn.BatchNorm2d
    assert workers.any([True, False]) == [True, False]
    workers.agree("anything")


@pytest.mark.parametrize(("batch", "count"), [(4, 2), (64, 2), (63, 3), (64, 8)])
def test_shares_cover_each_row_of_the_batch_once(batch: int, count: int) -> None:
    rows = [row for rank in range(count) for row in range(batch)[Processes(CPU, rank, count).share(batch)]]
    assert rows == list(range(batch))


@pytest.mark.parametrize(("batch", "count", "better"), [(15, 2, 14), (2, 2, 4), (64, 3, 63), (8, 8, 16)])
def test_a_batch_that_cannot_be_divided_is_refused_with_a_size_that_can(batch: int, count: int, better: int) -> None:
    with pytest.raises(ConfigError, match=f"such as {better}"):
        Processes(CPU, 0, count).share(batch)
    assert Processes(CPU, 0, count).share(better)


def load_in_turn(rank: int, folder: Path, cache: Path) -> tuple[str, int]:
    decoded: list[int] = []
    with Processes.join("cpu").in_turn():
        faces = load_faces([folder], 32, cache, lambda done, total: decoded.append(done))
    return faces.key, len(decoded)


@pytest.mark.slow
def test_new_faces_are_decoded_by_the_first_process_while_the_others_wait(faces_folder: Path, tmp_path: Path) -> None:
    (key, decoded), second = together(load_in_turn, faces_folder, tmp_path / "cache")
    assert decoded > 0
    assert second == (key, 0)


# --- command line


@pytest.fixture
def command_line(faces: FaceDataset, faces_folder: Path, tmp_path: Path) -> list[str]:
    """The Python arguments that resume a tiny run in `tmp_path / "run"` without a limit."""
    list(train(faces, tmp_path / "run", *configured(steps=5)))
    places = [str(faces_folder), "--resume", str(tmp_path / "run"), "--home", str(tmp_path / "home")]
    return ["-m", "ganime", "train", *places, "--device", "cpu"]


@contextlib.contextmanager
def started(arguments: list[str], errors: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with these arguments; kill it and its children, if they still run, when the block ends."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    with errors.open("w") as file, subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=file, text=True, cwd=ROOT, env=environment
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                for one in [*psutil.Process(process.pid).children(recursive=True), process]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.kill()


def lines_until_it_trains(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Step:"):
            return lines
    raise AssertionError(lines)


@pytest.mark.slow
def test_torchrun_prints_each_line_once_and_saves_when_terminated(command_line: list[str], tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with started([*launcher, *command_line], tmp_path / "errors") as process:
        lines = lines_until_it_trains(process)
        process.send_signal(signal.SIGTERM)
        lines += process.communicate(timeout=120)[0].splitlines(keepends=True)
    assert len([line for line in lines if "faces for training" in line]) == 1
    reports = [line for line in lines if line.startswith(("Step:", "Resumed", "saved", "ended"))]
    assert len(reports) == len(set(reports)) >= 4
    assert reports[-1].startswith("ended (stopped)")
    assert "Error" not in (tmp_path / "errors").read_text().partition("Traceback")[0]  # torchrun adds its own traceback
    journal = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in journal].count("Saved") == 1
    assert journal[-1]["images"] == state_of(tmp_path / "run")["images"]


def terminated_in_one(rank: int, command_line: list[str], folder: Path) -> Any:
    """Exit status of the command line when the second process gets SIGTERM in its third step."""
    with (folder / f"output-{rank}").open("w") as file:
        os.dup2(file.fileno(), 1)
    right, steps = loop.ema_decay, itertools.count(1)

    def decay(*arguments: Any) -> float:
        if rank and next(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return right(*arguments)

    loop.ema_decay = decay
    sys.argv = command_line[1:]
    try:
        cli.main()
    except SystemExit as end:
        return end.code


@pytest.mark.slow
def test_all_processes_exit_cleanly_in_the_same_step_when_one_is_terminated(
    command_line: list[str], tmp_path: Path
) -> None:
    assert together(terminated_in_one, command_line, tmp_path) == [0, 0]
    assert "ended (stopped) after 128 images" in (tmp_path / "output-0").read_text()
    assert (tmp_path / "output-1").read_text() == ""


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_a_clear_error_and_leaves_its_save(
    command_line: list[str], tmp_path: Path
) -> None:
    before = state_of(tmp_path / "run")
    launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    with started([*launcher, *options, *command_line], tmp_path / "errors") as process:
        lines_until_it_trains(process)
        _, second = sorted(psutil.Process(process.pid).children(), key=lambda child: int(child.environ()["RANK"]))
        second.kill()
        process.communicate(timeout=120)
    assert process.returncode != 0
    [error] = [line for line in (tmp_path / "errors").read_text().splitlines() if line.startswith("Error: ")]
    assert error.startswith("Error: Another process of this run has ended (")
    assert "--resume" in error
    assert_same(state_of(tmp_path / "run"), before)
