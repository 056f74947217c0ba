"""Several processes: the steps of one process, the same end for all, one voice, and a clear word when one is gone."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import multiprocessing
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
from ganime.training.run_folder import STATE_FILE, TrainingState, saves
from tests.ganime.training.common import assert_same

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")
BATCH = 16
TINY = ModelConfig(image_size=32, latent_dim=8, base_channels=4, max_channels=16)
CONTEXT = multiprocessing.get_context("forkserver")  # its processes find everything imported
CONTEXT.set_forkserver_preload(["accelerate", "ganime.cli", "psutil", "pytest", "torch._dynamo"])


def configured(recipe: str = "modern", model: dict[str, Any] | None = None, **changes: Any) -> tuple[Any, Any]:
    quick = {"batch_size": BATCH, "precision": "fp32", "augment": "none", "measure_images": 0, "critic": 0.0}
    shape = {name: vars(RECIPES[recipe][1])[name] for name in ("generator_norm", "discriminator_norm")}
    config = TrainConfig(**(vars(RECIPES[recipe][0]) | quick | changes))
    return config, ModelConfig(**(vars(TINY) | shape | (model or {})))


# --- processes that are one run


def environment(rank: int, port: int) -> dict[str, str]:
    """What a launcher tells one of two processes."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in told.items()} | {"OMP_NUM_THREADS": "1"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def begin(connection: Any, rank: int, port: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment(rank, port))
    torch.set_num_threads(1)
    try:
        connection.send(function(rank, *arguments))
    except GanimeError as error:
        connection.send(error)


def together(function: Callable[..., Any], *arguments: Any, port: int = 0, count: int = 2) -> list[Any]:
    """What `function(rank, *arguments)` gives in each of two processes of one run; a GanimeError as it is."""
    port, ends = port or free_port(), [CONTEXT.Pipe(duplex=False) for _ in range(count)]
    processes = [
        CONTEXT.Process(target=begin, args=(end, rank, port, function, arguments)) for rank, (_, end) in enumerate(ends)
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
    return [loss for event in events if isinstance(event, Step) for loss in (event.d_loss, event.g_loss)]


def digest(state: TrainingState) -> str:
    """Of all weights, and of the statistics and singular vectors of the nets that learn.

    The statistics of the average are settled only where it is shown and saved.
    """
    nets = (state.generator, *state.judges)
    tensors = [*(tensor for net in nets for tensor in net.state_dict().values()), *state.ema.parameters()]
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


def train_runs(rank: int, faces: FaceDataset, runs: list[tuple[Path, TrainConfig, ModelConfig]]) -> list[Any]:
    """Train one run after the other; of each the events and a digest of what this process has in the end."""
    made: list[TrainingState] = []
    create = TrainingState.create

    def remember(*arguments: Any) -> TrainingState:
        made.append(create(*arguments))
        return made[-1]

    TrainingState.create = remember  # type: ignore[method-assign]
    return [(list(train(faces, folder, config, model)), digest(made[-1])) for folder, config, model in runs]


def state_of(run: Path) -> dict[str, Any]:
    """All that the last save of a run holds, but for the seconds it took."""
    return torch.load(saves(run)[-1] / STATE_FILE, weights_only=True) | {"seconds": 0}


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
    """Twenty steps of every kind by one process and by two."""
    folder = tmp_path_factory.mktemp("kinds")
    kinds = [(name, *configured(steps=20, **changes)) for name, changes in KINDS.items()]
    alone = train_runs(0, faces, [(folder / f"{name}-alone", *settings) for name, *settings in kinds])
    both = together(train_runs, faces, [(folder / name, *settings) for name, *settings in kinds])
    return folder, alone, both


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "critic"])
def test_two_processes_make_the_steps_of_one(alone_and_together: tuple[Path, Any, Any], kind: str) -> None:
    """But for rounding: the losses differed by up to 4e-7, and by 6e-4 or more where BatchNorm saw a share alone.

    A critic magnifies rounding: in ten steps of one process a change of 1e-7 in the weights grew to 3e-4 in its losses.
    """
    _, alone, both = alone_and_together
    place = list(KINDS).index(kind)
    expected = losses(alone[place][0])
    assert len(expected) == 4
    for runs in both:
        assert losses(runs[place][0]) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_all_processes_have_the_same_nets_to_the_bit(alone_and_together: tuple[Path, Any, Any], kind: str) -> None:
    place = list(KINDS).index(kind)
    (_, first), (_, second) = (runs[place] for runs in alone_and_together[2])
    assert first == second


@pytest.mark.parametrize("kind", ["modern", "classic"])
def test_running_statistics_are_those_of_the_whole_batch(alone_and_together: tuple[Path, Any, Any], kind: str) -> None:
    alone, both = state_of(alone_and_together[0] / f"{kind}-alone"), state_of(alone_and_together[0] / kind)
    found = [(net, name) for net in ("generator", "discriminator") for name in alone[net] if ".running_" in name]
    assert len(found) >= 6
    for net, name in found:
        assert both[net][name] == pytest.approx(alone[net][name], rel=1e-3, abs=1e-3), name
        assert not torch.equal(alone[net][name], torch.full_like(alone[net][name], float("var" in name))), name


def test_only_the_first_process_shows_and_saves(alone_and_together: tuple[Path, Any, Any]) -> None:
    first, second = ([type(event).__name__ for event in runs[0][0]] for runs in alone_and_together[2])
    assert [name for name in first if name != "Verdict"] == ["Step", "Step", "Preview", "Saved", "Done"]
    assert [name for name in second if name != "Verdict"] == ["Step", "Step"]


def test_two_processes_resume_to_the_bit_and_one_can_go_on(faces: FaceDataset, tmp_path: Path) -> None:
    whole, half = configured(steps=12), configured(steps=5)
    runs = [("whole", whole), ("parts", half), ("parts", whole), ("one", half)]
    results = together(train_runs, faces, [(tmp_path / name, *settings) for name, settings in runs])
    assert_same(state_of(tmp_path / "parts"), state_of(tmp_path / "whole"))
    (steps, first), (_, second) = (result[2] for result in results)
    assert first == second
    events = list(train(faces, tmp_path / "one", *whole))
    assert [event.images for event in events if isinstance(event, Notice)] == [5 * BATCH]
    assert losses(events) == pytest.approx(losses(steps), abs=2e-5)


# --- the same end


def asked_in_one(rank: int, faces: FaceDataset, run: Path, what: str) -> list[Event]:
    """Train; after the third step the second process alone is asked something, or its time is up."""
    steps = itertools.count(1)
    if what == "minutes":
        right = loop.limit_reached
        loop.limit_reached = lambda *state: "minutes" if rank and next(steps) == 3 else right(*state)
    should_stop = (lambda: bool(rank) and next(steps) == 3) if what == "stop" else (lambda: False)
    should_save = (lambda: bool(rank) and next(steps) == 3) if what == "save" else (lambda: False)
    return list(train(faces, run, *configured(steps=6), "cpu", should_stop, should_save))


@pytest.mark.parametrize(
    ("what", "reason", "steps"), [("stop", "stopped", [3]), ("minutes", "minutes", [3]), ("save", "steps", [3, 6])]
)
def test_what_one_process_is_asked_all_do_in_the_same_step(
    faces: FaceDataset, tmp_path: Path, what: str, reason: str, steps: list[int]
) -> None:
    first, second = together(asked_in_one, faces, tmp_path / "run", what)
    for events in (first, second):
        assert [event.step for event in events if isinstance(event, Step)] == steps
    assert [event.images for event in first if isinstance(event, Saved)] == [step * BATCH for step in steps]
    assert [event.reason for event in first if isinstance(event, Done)] == [reason]


def broken_in_one(rank: int, faces: FaceDataset, run: Path) -> list[Any]:
    """Resume a run in which the loss of the second process is NaN at its second step."""
    right, calls = step.discriminator_loss, itertools.count(1)
    step.discriminator_loss = lambda *a: right(*a) * (float("nan") if rank and next(calls) == 2 else 1)
    return train_runs(rank, faces, [(run, *configured(steps=20))])


def test_a_loss_that_breaks_in_one_process_takes_all_back_to_the_last_save(faces: FaceDataset, tmp_path: Path) -> None:
    list(train(faces, tmp_path / "run", *configured(steps=5)))
    [(first, digest_a)], [(second, digest_b)] = together(broken_in_one, faces, tmp_path / "run")
    for events in (first, second):
        [_, rescued] = [event for event in events if isinstance(event, Notice)]
        assert (rescued.images, "half the learning rates" in rescued.text) == (5 * BATCH, True)
    assert digest_a == digest_b
    assert first[-1].images == 20 * BATCH
    assert state_of(tmp_path / "run")["rescues"] == 1
    lr = state_of(tmp_path / "run")["generator_optimizer"]["param_groups"][0]["lr"]
    assert lr == RECIPES["modern"][0].generator_lr / 2


# --- what cannot be


def in_its_own_folder(rank: int, faces: FaceDataset, run: Path) -> list[Event]:
    return list(train(faces, run / str(rank), *configured(steps=6)))


def test_processes_that_do_not_see_the_same_run_are_refused(faces: FaceDataset, tmp_path: Path) -> None:
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


def test_a_process_without_enough_memory_ends_the_run_and_says_so(faces: FaceDataset, tmp_path: Path) -> None:
    first, second = together(out_of_memory_in_one, faces, tmp_path / "run")
    assert isinstance(first, TrainingError)
    assert "is gone" in str(first)
    assert isinstance(second, TrainingError)
    assert "memory for 8 faces" in str(second)


@pytest.mark.parametrize(
    ("device", "told", "message"),
    [
        ("mps", environment(0, 1), "cannot share the device 'mps'"),
        ("cuda:0", environment(0, 1), "cannot share the device 'cuda:0'"),
        ("cuda", environment(0, 1) | {"LOCAL_RANK": "99"}, "Process 100 of this machine has no GPU"),
        ("cpu", {"WORLD_SIZE": "2"}, "LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"),
    ],
)
def test_a_launch_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, told: dict[str, str], message: str
) -> None:
    for name in environment(0, 1):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        Processes.join(device)


def test_a_launch_without_accelerate_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0, 1).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ConfigError, match="pip install accelerate"):
        Processes.join("cpu")


def meet(rank: int) -> Processes:
    return Processes.join("cpu")


def test_processes_that_cannot_meet_say_why() -> None:
    with socket.create_server(("0.0.0.0", 0)) as occupied:
        [error] = together(meet, port=occupied.getsockname()[1], count=1)
    assert isinstance(error, TrainingError)
    assert "could not meet" in str(error)
    assert "address already in use" in str(error).lower()


def test_one_process_is_alone_and_changes_nothing() -> None:
    workers, layer = Processes.join("cpu"), nn.Sequential(nn.BatchNorm2d(3))
    assert (workers, workers.leads, workers.share(7)) == (Processes(CPU), True, slice(0, 7))
    workers.share_statistics(layer)
    assert type(layer[0]) is nn.BatchNorm2d
    assert workers.any([True, False]) == [True, False]
    workers.agree("anything")


@pytest.mark.parametrize(("batch", "count"), [(4, 2), (64, 2), (63, 3), (64, 8)])
def test_shares_cover_the_batch_once(batch: int, count: int) -> None:
    rows = [row for rank in range(count) for row in range(batch)[Processes(CPU, rank, count).share(batch)]]
    assert rows == list(range(batch))


@pytest.mark.parametrize(("batch", "count", "better"), [(15, 2, 14), (2, 2, 4), (64, 3, 63), (8, 8, 16)])
def test_a_batch_that_cannot_be_shared_is_refused_with_one_that_can(batch: int, count: int, better: int) -> None:
    with pytest.raises(ConfigError, match=f"such as {better}"):
        Processes(CPU, 0, count).share(batch)
    assert Processes(CPU, 0, count).share(better)


def load_in_turn(rank: int, folder: Path, cache: Path) -> tuple[str, int]:
    decoded: list[int] = []
    with Processes.join("cpu").in_turn():
        faces = load_faces([folder], 32, cache, lambda done, total: decoded.append(done))
    return faces.key, len(decoded)


def test_new_faces_are_decoded_by_the_first_process_while_the_others_wait(faces_folder: Path, tmp_path: Path) -> None:
    (key, decoded), second = together(load_in_turn, faces_folder, tmp_path / "cache")
    assert decoded > 0
    assert second == (key, 0)


# --- from the shell


@pytest.fixture
def command_line(faces: FaceDataset, faces_folder: Path, tmp_path: Path) -> list[str]:
    """The arguments of python that go on with a tiny run in `tmp_path / "run"`, without an end."""
    list(train(faces, tmp_path / "run", *configured(steps=5)))
    places = [str(faces_folder), "--resume", str(tmp_path / "run"), "--home", str(tmp_path / "home")]
    return ["-m", "ganime", "train", *places, "--device", "cpu"]


@contextlib.contextmanager
def started(arguments: list[str], errors: Path, **told: str) -> Iterator[subprocess.Popen[str]]:
    """Python with these arguments, which has ended with all it started when the block ends, one way or the other."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | told
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


def test_torchrun_tells_once_and_saves_when_it_is_terminated(command_line: list[str], tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with started([*launcher, *command_line], tmp_path / "errors") as process:
        lines = lines_until_it_trains(process)
        process.send_signal(signal.SIGTERM)
        lines += process.communicate(timeout=120)[0].splitlines(keepends=True)
    assert len([line for line in lines if "faces to learn from" in line]) == 1
    told = [line for line in lines if line.startswith(("Step:", "Resumed", "saved", "ended"))]
    assert len(told) == len(set(told)) >= 4
    assert told[-1].startswith("ended (stopped)")
    assert "Error" not in (tmp_path / "errors").read_text().partition("Traceback")[0]  # that one is torchrun's own
    journal = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in journal].count("Saved") == 1
    assert journal[-1]["images"] == state_of(tmp_path / "run")["images"]


def terminated_in_one(rank: int, command_line: list[str], told: Path) -> Any:
    """The status that the command line ends with when the second process is terminated in its third step."""
    with (told / f"told-{rank}").open("w") as file:
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


def test_all_processes_end_well_in_the_same_step_when_one_is_terminated(
    command_line: list[str], tmp_path: Path
) -> None:
    assert together(terminated_in_one, command_line, tmp_path) == [0, 0]
    assert "ended (stopped) after 128 images" in (tmp_path / "told-0").read_text()
    assert (tmp_path / "told-1").read_text() == ""


def test_a_killed_process_ends_the_run_with_a_clear_word_and_leaves_its_save(
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
    assert error.startswith("Error: Another process of this run is gone (")
    assert "--resume" in error
    assert_same(state_of(tmp_path / "run"), before)
