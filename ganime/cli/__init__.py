"""The command line: `ganime`, or `python -m ganime`. It is the only part of the engine that prints."""

from __future__ import annotations

import errno
import sys

import typer

from ganime.cli import avatars, data, draw, explore, hub, hub_job, measure, models, page, static, train
from ganime.errors import GanimeError, reason_of

app = typer.Typer(
    help="Draw anime faces with a DCGAN, edit them, and train models on your own faces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
GROUPS = {
    "Web page": [page.page_command, static.static_command, hub.push_space_command],
    "Draw": [draw.sample_command, draw.interpolate_command, draw.recipe_command],
    "Explore": [
        explore.steer_command,
        explore.vary_command,
        explore.breed_command,
        explore.mix_command,
        explore.choose_command,
        explore.project_command,
        avatars.avatar_command,
        avatars.grid_command,
        draw.clarity_command,
        explore.directions_command,
        explore.name_direction_command,
    ],
    "Faces": [data.audit_command, data.remember_faces_command, data.copies_command],
    "Train": [train.train_command, measure.evaluate_command, hub_job.fetch_run_command],
    "Models": [models.inspect_command, models.export_command, models.import_command, hub.push_command],
}
for group, commands in GROUPS.items():
    for command in commands:
        name = command.__name__.removesuffix("_command").replace("_", "-")
        app.command(name, rich_help_panel=group)(command)
app.command("known", hidden=True)(data.remember_faces_command)  # the earlier name
app.command("store-run", hidden=True)(hub_job.store_run_command)  # for jobs on the hub


def main() -> None:
    """Run the command line. An expected failure prints one line to standard error and exits with status 1."""
    try:
        app()
    except (GanimeError, OSError) as error:  # OSError: a folder that cannot be written, a full disk
        text = f"Error: {reason_of(error)}"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            text += ". The disk is full: free some space and try again."
        print(text, file=sys.stderr)
        sys.exit(1)
