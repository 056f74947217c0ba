"""The command line: `ganime`, or `python -m ganime`. It is the only part of the engine that prints."""

from __future__ import annotations

import errno
import sys

import typer

from ganime.cli import data, draw, explore, measure, models, page, train
from ganime.errors import GanimeError

app = typer.Typer(
    help="Draw anime faces with a DCGAN, edit them, and train models on your own faces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
GROUPS = {
    "Web page": {"page": page.page_command},
    "Draw": {"sample": draw.sample_command, "interpolate": draw.interpolate_command},
    "Explore": {
        "steer": explore.steer_command,
        "vary": explore.vary_command,
        "breed": explore.breed_command,
        "mix": explore.mix_command,
        "choose": explore.choose_command,
        "project": explore.project_command,
        "directions": explore.directions_command,
        "name-direction": explore.name_direction_command,
    },
    "Faces": {
        "audit": data.audit_command,
        "remember-faces": data.remember_faces_command,
        "copies": data.copies_command,
    },
    "Train": {
        "train": train.train_command,
        "evaluate": measure.evaluate_command,
    },
    "Models": {
        "inspect": models.inspect_command,
        "export": models.export_command,
        "import": models.import_command,
    },
}
for group, commands in GROUPS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=group)(command)
app.command("known", hidden=True)(data.remember_faces_command)  # the earlier name


def main() -> None:
    """Run the command line. An expected failure prints one line to standard error and exits with status 1."""
    try:
        app()
    except (GanimeError, OSError) as error:  # OSError: a folder that cannot be written, a full disk
        text = f"Error: {error}"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            text += ". The disk is full: free some space and try again"
        print(text, file=sys.stderr)
        sys.exit(1)
