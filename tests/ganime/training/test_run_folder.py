"""The folder of a run: saves that survive damage and kills, settings that a resumed run keeps or changes."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from ganime.cli import app as command_line
from ganime.config import ModelConfig, TrainConfig
from ganime.errors import ConfigError, TrainingError, reason_of
from ganime.faces.dataset import FaceDataset
from ganime.models.checkpoint import Checkpoint, load_checkpoint
from ganime.training import step
from ganime.training.events import Measured, Saved
from ganime.training.loop import train
from ganime.training.run_folder import RUN_FILE, STATE_FILE, discard_unsaved, read_run, saves
from ganime.training.session import Reporting
from tests import nursery
from tests.forking import in_process, refused_command
from tests.ganime.training.common import (
    BATCH,
    OFTEN,
    QUICK,
    Run,
    Trained,
    assert_same,
    assert_sound,
    broken_after,
    of_kind,
    state_of,
)

ROOT = Path(__file__).resolve().parents[3]

# --- saves


def test_a_save_can_be_sampled_and_knows_its_training(short_run: Trained, faces: FaceDataset) -> None:
    done = short_run.events[-1]
    checkpoint = load_checkpoint(short_run.folder, with_discriminator=True)
    assert checkpoint.folder == done.folder
    assert checkpoint.discriminator is not None
    facts = checkpoint.training
    assert (facts["recipe"], facts["images"], facts["faces"]) == ("modern", 30 * BATCH, len(faces.train))


def test_only_the_last_two_saves_are_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = broken_after(10**9, step.discriminator_loss, OFTEN * 60)
    monkeypatch.setattr(step, "discriminator_loss", slow)
    saved = of_kind(run(tmp_path / "run", steps=5, save_minutes=OFTEN, reporting=Reporting(report_steps=1)), Saved)
    assert [event.images for event in saved] == [BATCH, 2 * BATCH, 3 * BATCH, 4 * BATCH, 5 * BATCH]
    assert saves(tmp_path / "run") == [event.folder for event in saved[-2:]]
    assert sorted((tmp_path / "run" / "saves").iterdir()) == saves(tmp_path / "run")


@pytest.fixture(scope="module")
def kept(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with saves after 3 and 6 steps, to be copied."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    run(folder, steps=3)
    run(folder, steps=6)
    return folder


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The state after 8 steps without an interruption."""
    return state_of(run(tmp_path_factory.mktemp("whole") / "run", steps=8)[-1].folder)


@pytest.fixture
def two_saves(kept: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The saves at 3 and at 6 steps of a run in `tmp_path / "run"`."""
    shutil.copytree(kept, tmp_path / "run")
    first, last = saves(tmp_path / "run")
    return first, last


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def surplus(value: Any) -> Callable[[Path], None]:
    """Add the state of an unknown parameter to the generator's optimizer."""

    def change(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        state["generator_optimizer"]["state"][10_000] = value
        torch.save(state, path)

    return change


def overwrite(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(path.stat().st_size // 3)
        file.write(b"\xff" * 2000)


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        overwrite,
        lambda path: path.write_bytes(b""),
        surplus({"step": 3.0}),
        surplus(torch.tensor(3.0)),
        surplus({}),
        lambda path: path.write_bytes(b"no weights"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"step": 6}, path),
        Path.unlink,
    ],
    ids=["cut", "overwritten", "empty", "number", "tensor", "nothing", "text", "list", "lacking", "gone"],
)
def test_a_damaged_last_save_gives_way_to_the_one_before(
    run: Run, tmp_path: Path, two_saves: tuple[Path, Path], whole: dict[str, Any], damage: Callable[[Path], Any]
) -> None:
    damage(two_saves[1] / STATE_FILE)
    notice, *_, done = run(tmp_path / "run", steps=8)
    assert notice.images == 3 * BATCH
    assert f"Save {6 * BATCH:012d} could not be read" in notice.text or damage is Path.unlink
    assert_same(whole, state_of(done.folder))


def test_a_damaged_newer_save_does_not_hide_what_was_saved_since(
    run: Run, tmp_path: Path, two_saves: tuple[Path, Path]
) -> None:
    truncate(two_saves[1] / STATE_FILE)
    done = run(tmp_path / "run", steps=5)[-1]
    assert load_checkpoint(tmp_path / "run").folder == done.folder
    assert run(tmp_path / "run", steps=7)[0].images == 5 * BATCH


def test_what_a_kill_left_of_a_save_is_cleared_away(run: Run, tmp_path: Path, two_saves: tuple[Path, Path]) -> None:
    abandoned = two_saves[1].with_name(f".{two_saves[1].name}.x1y2z3")
    abandoned.mkdir()
    (abandoned / STATE_FILE).write_bytes(b"half")
    run(tmp_path / "run", steps=5)
    assert not abandoned.exists()


@pytest.mark.slow
def test_a_best_save_that_a_kill_caught_between_two_names_is_found_again(
    run: Run, measured_run: Trained, tmp_path: Path
) -> None:
    best = measured_run.copy(tmp_path / "run") / "saves" / "best"
    before = load_checkpoint(best)
    best.rename(best.with_name(".best.x1.old"))
    run(tmp_path / "run", steps=31)
    assert load_checkpoint(best).revision == before.revision


def test_a_run_without_a_readable_save_is_refused(run: Run, tmp_path: Path, two_saves: tuple[Path, Path]) -> None:
    for folder in two_saves:
        truncate(folder / STATE_FILE)
    with pytest.raises(TrainingError, match="No save in"):
        run(tmp_path / "run", steps=8)


def test_a_run_whose_saves_are_gone_does_not_go_on_from_nothing(run: Run, tiny: Checkpoint, tmp_path: Path) -> None:
    run(tmp_path / "run", start=tiny, steps=1)
    shutil.rmtree(tmp_path / "run" / "saves")
    with pytest.raises(TrainingError, match="began from tiny, and it has no save"):
        run(tmp_path / "run", steps=2)


def test_a_crash_while_saving_leaves_the_earlier_saves_whole(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "run", steps=3)
    write = torch.save

    def half(state: Any, path: Path) -> None:
        write(state, path)
        truncate(path)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(OSError, match="No space"):
            run(tmp_path / "run", steps=6)
    assert_sound(tmp_path / "run")
    assert run(tmp_path / "run", steps=8)[0].images == 3 * BATCH


@pytest.mark.slow
def test_a_killed_run_goes_on_from_a_whole_save(run: Run, tmp_path: Path, faces_folder: Path) -> None:
    run(tmp_path / "run", steps=3, save_minutes=OFTEN)
    command = nursery.command("-m", "ganime", "train", str(faces_folder), "--resume", str(tmp_path / "run"))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout
        told = (line for line in process.stdout if line.startswith("saved"))
        assert len(list(itertools.islice(told, 2))) == 2
        process.send_signal(signal.SIGKILL)
        process.stdout.read()  # to the end, which comes with its own
    assert process.returncode == -signal.SIGKILL
    assert_sound(tmp_path / "run")
    killed_at = int(saves(tmp_path / "run")[-1].name) // BATCH
    assert killed_at > 3
    resumed = run(tmp_path / "run", steps=killed_at + 5)
    assert resumed[0].images == killed_at * BATCH
    never_stopped = run(tmp_path / "whole", steps=killed_at + 5)
    assert_same(state_of(resumed[-1].folder), state_of(never_stopped[-1].folder))


def interrupted(*arguments: Any) -> Any:
    raise KeyboardInterrupt


def test_a_run_cut_off_before_its_first_save_still_begins_from_its_model(
    run: Run, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, "judge", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run", start=tiny, steps=3)
    notice, *_, done = run(tmp_path / "run", steps=3, generator_lr=1e-8)
    assert notice.images == 0
    first = torch.load(saves(tmp_path / "run")[0] / STATE_FILE, weights_only=True)["generator"]
    for name, value in tiny.generator.state_dict().items():
        assert torch.equal(first[name], value), name
    assert load_checkpoint(done.folder).training["start"] == "tiny"


def test_a_save_that_was_made_on_a_gpu_goes_on_on_a_cpu(run: Run, tmp_path: Path) -> None:
    here, there = (run(tmp_path / name, steps=6)[-1].folder for name in ("here", "there"))
    state = torch.load(there / STATE_FILE, weights_only=True)
    for optimizer in ("generator_optimizer", "discriminator_optimizer"):
        for group in state[optimizer]["param_groups"]:
            group["capturable"] = True  # as on a GPU, where Adam counts its steps on the device
    torch.save(state, there / STATE_FILE)
    ended = [run(folder.parent.parent, steps=12)[-1] for folder in (here, there)]
    assert [done.images for done in ended] == [12 * BATCH] * 2
    assert_same(*(state_of(done.folder) for done in ended))


def full_disk(value: Any, path: Path) -> None:
    path.write_bytes(b"the beginning")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_ends_the_run_with_its_last_save_intact(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "run", steps=3)
    with monkeypatch.context() as patch:
        patch.setattr("torch.save", full_disk)
        with pytest.raises(OSError, match="No space left"):
            run(tmp_path / "run", steps=6)
    assert [folder.name for folder in saves(tmp_path / "run")] == [f"{3 * BATCH:012d}"]
    assert sorted((tmp_path / "run" / "saves").iterdir()) == saves(tmp_path / "run")
    assert run(tmp_path / "run", steps=6)[-1].images == 6 * BATCH


def test_a_disk_that_is_full_at_the_first_save_leaves_a_folder_in_which_a_run_can_begin(
    run: Run, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("torch.save", full_disk)
        with pytest.raises(OSError, match="begin the run again in the same folder") as raised:
            run(tmp_path / "run", start=tiny, steps=3)
    assert "Errno" not in reason_of(raised.value)
    with pytest.raises(TrainingError, match="--out in place of --resume"):
        run(tmp_path / "run", steps=3)
    discard_unsaved(tmp_path / "run")
    assert run(tmp_path / "run", start=tiny, steps=3)[-1].images == 3 * BATCH
    with pytest.raises(ConfigError, match="--resume"):
        discard_unsaved(tmp_path / "run")


@pytest.mark.slow
def test_a_disk_that_takes_no_more_is_told_in_one_sentence(run: Run, tmp_path: Path, faces_folder: Path) -> None:
    """The system itself refuses here: it lets the process write files of at most 130,000 bytes."""
    run(tmp_path / "run", steps=3)
    home = ["--home", str(tmp_path / "home")]
    assert CliRunner().invoke(command_line, ["audit", str(faces_folder), "--image-size", "32", *home]).exit_code == 0
    command = ["train", str(faces_folder), "--resume", str(tmp_path / "run"), "--steps", "6", *home]
    status, error = in_process(refused_command, command, 130_000)
    assert status == 1
    [line] = error.splitlines()
    assert "The save at 96 images could not be written" in line
    assert "earlier saves are whole" in line
    assert sorted((tmp_path / "run" / "saves").iterdir()) == saves(tmp_path / "run")
    assert [folder.name for folder in saves(tmp_path / "run")] == [f"{3 * BATCH:012d}"]
    assert run(tmp_path / "run", steps=6)[-1].images == 6 * BATCH


# --- learning rates of a resumed run


def rates_of(save: Path) -> tuple[float, float]:
    """The learning rates that the optimisers of a save use."""
    state = torch.load(save / STATE_FILE, weights_only=True)
    generator, discriminator = (
        {group["lr"] for group in state[name]["param_groups"]}
        for name in ("generator_optimizer", "discriminator_optimizer")
    )
    return generator.pop(), discriminator.pop()


def test_a_resumed_run_takes_new_learning_rates_and_keeps_them(run: Run, tmp_path: Path, kept: Path) -> None:
    folder = shutil.copytree(kept, tmp_path / "run")
    notice, *_, done = run(folder, steps=7, rates={"generator_lr": 1e-4, "discriminator_lr": 2e-4})
    assert "0.0001" in notice.text
    assert "0.0002" in notice.text
    assert rates_of(done.folder) == (1e-4, 2e-4)
    config, _ = read_run(folder)
    assert (config.generator_lr, config.discriminator_lr) == (1e-4, 2e-4)
    again = run(folder, steps=8)[-1]
    assert rates_of(again.folder) == (1e-4, 2e-4)


def test_new_learning_rates_change_nothing_else(run: Run, tmp_path: Path, kept: Path, whole: dict[str, Any]) -> None:
    """The run's own rates, given again, end where an uninterrupted run ends; one changed rate leaves the other."""
    config, _ = read_run(kept)
    same = {"generator_lr": config.generator_lr, "discriminator_lr": config.discriminator_lr}
    done = run(shutil.copytree(kept, tmp_path / "same"), steps=8, rates=same)[-1]
    assert_same(whole, state_of(done.folder))
    done = run(shutil.copytree(kept, tmp_path / "one"), steps=8, rates={"generator_lr": 1e-5})[-1]
    assert rates_of(done.folder) == (1e-5, config.discriminator_lr)
    assert not torch.equal(state_of(done.folder)["ema"]["to_rgb.weight"], whole["ema"]["to_rgb.weight"])


def test_new_learning_rates_survive_a_kill_before_the_next_save(
    run: Run, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(kept, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(step, "judge", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(folder, steps=8, rates={"generator_lr": 1e-5})
    assert rates_of(run(folder, steps=8)[-1].folder)[0] == 1e-5


def test_a_run_that_was_rescued_is_rescued_again_after_new_learning_rates(
    run: Run, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(kept, tmp_path / "run")
    for rates, expected in (({}, 4e-4 / 2), ({"generator_lr": 1e-4}, 1e-4 / 2)):
        with monkeypatch.context() as patch:
            patch.setattr(step, "generator_loss", broken_after(0, step.generator_loss, breaks=1))
            done = run(folder, steps=int(saves(folder)[-1].name) // BATCH + 2, rates=rates)[-1]
        assert rates_of(done.folder)[0] == pytest.approx(expected)


def test_learning_rates_out_of_range_are_refused(run: Run, tmp_path: Path, kept: Path) -> None:
    folder = shutil.copytree(kept, tmp_path / "run")
    with pytest.raises(ConfigError, match="generator_lr"):
        run(folder, steps=8, rates={"generator_lr": 2.0})
    assert_same(state_of(saves(folder)[-1]), state_of(saves(kept)[-1]))


def test_a_run_of_an_earlier_version_resumes_when_its_removed_settings_were_not_used(
    run: Run, tmp_path: Path, kept: Path, whole: dict[str, Any]
) -> None:
    folder = shutil.copytree(kept, tmp_path / "run")
    content = json.loads((folder / RUN_FILE).read_text())
    content["train"] |= {"r1": 0.0, "r2": 0.0, "penalty_steps": 16}
    (folder / RUN_FILE).write_text(json.dumps(content))
    assert_same(whole, state_of(run(folder, steps=8)[-1].folder))
    content["train"]["r1"] = 1.0
    (folder / RUN_FILE).write_text(json.dumps(content))
    with pytest.raises(TrainingError, match="r1"):
        run(folder, steps=9)


# --- settings


def test_a_run_keeps_its_own_settings_and_takes_new_limits(run: Run, tmp_path: Path, tiny_config: ModelConfig) -> None:
    run(tmp_path / "run", steps=2, seed=5)
    done = run(tmp_path / "run", steps=3, seed=6, batch_size=8, model={"latent_dim": 4})[-1]
    assert done.images == 3 * BATCH
    config, model = read_run(tmp_path / "run")
    assert (config.seed, config.batch_size, config.steps) == (5, BATCH, 3)
    assert model == tiny_config


def test_a_run_with_automatic_precision_settles_on_one(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=1, precision="auto")
    settled = read_run(tmp_path / "run")[0].precision
    assert settled in ("fp32", "bf16")
    run(tmp_path / "run", steps=2, precision="auto")
    assert read_run(tmp_path / "run")[0].precision == settled


def test_faces_of_another_size_than_the_model_are_refused_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"faces are 32 px, the model is 64 px"):
        run(tmp_path / "run", steps=1, model={"image_size": 64})
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=f"{RUN_FILE} cannot be read"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"train": {}}', '{"train": {"loss": "x"}, "model": {}}', '{"train": 1, "model": 2}'],
)
def test_a_damaged_run_file_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / RUN_FILE).write_text(text)
    with pytest.raises(TrainingError, match=f"{RUN_FILE} cannot be read"):
        run(tmp_path, steps=1)


def test_a_resumed_run_tells_when_its_faces_are_others(run: Run, faces: FaceDataset, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=1)
    content = json.loads((tmp_path / "run" / RUN_FILE).read_text())
    assert content["key"] == faces.key
    assert "not the ones" not in run(tmp_path / "run", steps=2)[0].text
    content["key"] = "another"
    (tmp_path / "run" / RUN_FILE).write_text(json.dumps(content))
    assert "not the ones" in run(tmp_path / "run", steps=3)[0].text


@pytest.mark.slow
def test_a_best_model_by_other_faces_is_set_aside(run: Run, measured_run: Trained, tmp_path: Path) -> None:
    folder = measured_run.copy(tmp_path / "run")
    best, path = folder / "saves" / "best", folder / RUN_FILE
    weights = (best / "model.safetensors").read_bytes()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"key": "ab" * 32}))
    events = run(tmp_path / "run", steps=31, measure_images=BATCH)
    assert "saves/best-abababababab" in events[0].text
    assert (best.with_name("best-abababababab") / "model.safetensors").read_bytes() == weights
    assert of_kind(events, Measured)[0].best
    assert (best / "model.safetensors").read_bytes() != weights


@pytest.mark.slow
def test_a_run_is_trained_by_one_process_at_a_time(run: Run, tmp_path: Path, faces_folder: Path) -> None:
    asked: list[tuple[int, str]] = []

    def meanwhile() -> bool:
        if not asked:
            options = ["--resume", str(tmp_path / "run"), "--steps", "9", "--home", str(tmp_path / "home")]
            asked.append(in_process(refused_command, ["train", str(faces_folder), *options]))
        return False

    assert run(tmp_path / "run", meanwhile, steps=3)[-1].images == 3 * BATCH
    [(status, error)] = asked
    assert status == 1
    assert "is being trained by another process" in error
    assert run(tmp_path / "run", steps=4)[-1].images == 4 * BATCH


def test_a_run_whose_folder_was_deleted_is_closed_without_an_error(
    faces: FaceDataset, tiny_config: ModelConfig, tmp_path: Path
) -> None:
    """As a benchmark's run in a temporary folder is."""
    events = train(faces, tmp_path / "run", TrainConfig(**QUICK), tiny_config)
    next(events)
    shutil.rmtree(tmp_path / "run")
    events.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert not (tmp_path / "run").exists()


def test_a_run_can_be_moved(run: Run, tmp_path: Path) -> None:
    run(tmp_path / "run", steps=2)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert run(tmp_path / "moved", steps=3)[0].images == 2 * BATCH
