"""Options that several commands of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str,
    typer.Option("--model", help="A model folder, a training run, or a hub repo_id[@revision].", show_default=False),
]
HomeOption = Annotated[
    Path, typer.Option("--home", envvar="GANIME_HOME", help="Where decoded faces and pulled models are kept.")
]
TruncationOption = Annotated[float, typer.Option(help="Factor on the latent: 0 the average face, 1 as trained.")]
SizeOption = Annotated[int, typer.Option(help="Scale to this many pixels; 0 keeps the model's own size.")]
ThreadsOption = Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")]
DuplicatesOption = Annotated[bool, typer.Option("--keep-duplicates", help="Use pictures again that are there already.")]
DEFAULT_HOME = Path(".ganime")
