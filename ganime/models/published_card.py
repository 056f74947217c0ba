"""The card of a published model: what the hub reads in its front matter, and what people want to know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ganime.config import SCRATCH, ModelConfig
from ganime.errors import ConfigError
from ganime.models.checkpoint import generator_rows, model_card
from ganime.text import printable

TASK, TAGS = "unconditional-image-generation", ["dcgan", "gan", "anime"]
# Name of a figure among the facts about a training: its label, what the hub calls the metric, and its best value.
FIGURES = {
    "frechet": ("Fréchet distance", "frechet-distance", "0"),
    "kernel": ("Kernel distance", "kernel-distance", "0"),
    "precision": ("Precision", "precision", "1"),
    "recall": ("Recall", "recall", "1"),
    "coverage": ("Coverage", "coverage", "1"),
    "near_copies": ("Near copies of training faces", "near-copies", "about 0.01"),
}
COPYING = "copying"  # the verdict on a model that copies its training faces
LICENCES = ("cc-by-nc-4.0", "openrail", "mit", "cc0-1.0", "other", "unknown")  # suggestions; the hub knows many more
LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{1,60}", re.ASCII)
MAX_PROVENANCE = 2_000  # characters


@dataclass(frozen=True)
class Statement:
    """What only the person who publishes a model can say.

    provenance: where the training faces came from, in words.
    licence: of the model, as the hub names it, such as "cc-by-nc-4.0".

    Raises ConfigError where one is missing or is not what is needed.
    """

    provenance: str
    licence: str

    def __post_init__(self) -> None:
        if not self.provenance.strip():
            raise ConfigError("Say where the training faces came from (--provenance): people need it to use the model.")
        if len(self.provenance) > MAX_PROVENANCE:
            raise ConfigError(
                f"The provenance has {len(self.provenance):,} characters; at most {MAX_PROVENANCE:,} fit."
            )
        if not LICENCE.fullmatch(self.licence):
            known = ", ".join(LICENCES)
            raise ConfigError(f"A licence is one of {known}, or another that the hub knows; got {self.licence[:60]!r}.")


@dataclass(frozen=True)
class Contents:
    """What a published model consists of, beside its generator.

    config: of the generator.
    training: facts about the training by name; those named in FIGURES were measured, "verdict" is the run's.
    clarity: at which the sample faces are drawn, 0 for a model without one.
    directions: names of the named directions.
    samples: number of sample faces in the file `picture`.
    """

    config: ModelConfig
    training: Mapping[str, Any]
    clarity: float
    picture: str
    samples: int
    directions: list[str] = field(default_factory=list)


def published_card(repo_id: str, contents: Contents, statement: Statement, written: str = "") -> str:
    """The text of README.md: front matter and card.

    written: a card that the model has; if a person wrote it, its text is kept and only the front matter is completed.
    """
    if written and not is_generated(written, contents):
        card = ModelCard(written, ignore_metadata_errors=True)
        earlier = card.data.to_dict()
        added = front_matter(repo_id, contents, statement).to_dict()
        tags = [*earlier.get("tags", []), *added["tags"]]
        card.data = ModelCardData(**{**earlier, **added, "tags": tags})
        return str(card)
    return f"---\n{front_matter(repo_id, contents, statement)}\n---\n\n{body(repo_id, contents, statement)}"


def is_generated(card: str, contents: Contents) -> bool:
    """Whether a model's card is the one that every save has: it begins and ends as that does."""
    heads = [text.partition("\n# ") for text in (card, model_card("", contents.config, {}))]
    tails = [text.partition("\n## Use")[2] for text in (card, model_card("", contents.config, {}))]
    return heads[0][0] == heads[1][0] and tails[0] == tails[1]


def front_matter(repo_id: str, contents: Contents, statement: Statement) -> ModelCardData:
    """What the hub reads: the library, the task, tags, the licence, and the figures as a model index."""
    name, results = repo_id.partition("/")[2], eval_results(contents.training)
    start = contents.training.get("start")
    return ModelCardData(
        library_name="ganime",
        pipeline_tag=TASK,
        tags=TAGS,
        license=statement.licence,
        base_model=start if isinstance(start, str) and start.count("/") == 1 else None,
        model_name=name if results else None,
        eval_results=results or None,
    )


def eval_results(training: Mapping[str, Any]) -> list[EvalResult]:
    """The measured figures, for the hub's model index."""
    return [
        EvalResult(
            task_type=TASK,
            dataset_name="faces held out from the training set",
            dataset_type="imagefolder",
            metric_type=kind,
            metric_name=f"{label} (anime features)",
            metric_value=training[name],
        )
        for name, (label, kind, _) in FIGURES.items()
        if isinstance(training.get(name), int | float)
    ]


def body(repo_id: str, contents: Contents, statement: Statement) -> str:
    """The card itself: Markdown."""
    side, clarity = contents.config.image_size, contents.clarity
    drawn = f"at clarity {clarity:g}" if clarity else "as the network draws them"
    brings = ["a clarity"] if clarity else []
    if contents.directions:
        brings.append(f"named directions ({', '.join(contents.directions)})")
    extras = f" The model brings {' and '.join(brings)}." if brings else ""
    return f"""# {repo_id.partition("/")[2]}

A DCGAN ([Radford et al. 2015](https://arxiv.org/abs/1511.06434)) that draws faces of {side} x {side} px, made with
Ganime.{extras}

![{contents.samples} faces]({contents.picture})

Seeds 0 to {contents.samples - 1}, {drawn}. None was picked out.
{warning(contents.training)}
## Use

```python
from ganime import generate, load_model

model = load_model("{repo_id}")
faces = generate(model, seeds=range(16))  # uint8, (16, {side}, {side}, 3)
```

The generator alone, in PyTorch:

```python
import torch
from ganime.nets.dcgan import Generator

generator = Generator.from_pretrained("{repo_id}")
pictures = generator(torch.randn(16, {contents.config.latent_dim}))  # (16, 3, {side}, {side}), -1 to 1
```

## Where the faces came from, and what that allows

{quoted_lines(statement.provenance)}

Licence: {statement.licence}.{parent_licence(contents.training)}

## Training

{table(training_rows(contents))}
{measured(contents.training)}"""


def warning(training: Mapping[str, Any]) -> str:
    """A paragraph about a model that copies, else empty."""
    if training.get("verdict") != COPYING:
        return ""
    return (
        "\n**This model copies.** Its faces lie nearer to its training faces than fresh faces do, so some of them "
        "are nearly training pictures.\n"
    )


def parent_licence(training: Mapping[str, Any]) -> str:
    """A remark on the model that the training began from, else empty."""
    start = training.get("start")
    if not isinstance(start, str) or start == SCRATCH:
        return ""
    remark = f" The training began from {printable(start)}, whose terms hold as well"
    return f"{remark}: research and personal, non-commercial use." if start.startswith("anime-") else f"{remark}."


def training_rows(contents: Contents) -> list[tuple[str, str]]:
    """What is known about the model and its training, without the figures."""
    others = {name: value for name, value in contents.training.items() if name not in (*FIGURES, "measured_on")}
    return generator_rows(contents.config) + [
        (name.replace("_", " ").capitalize(), cell(value)) for name, value in others.items()
    ]


def measured(training: Mapping[str, Any]) -> str:
    """The section with the figures, empty if nothing was measured."""
    rows = [
        (label, f"{training[name]:.3g}", best)
        for name, (label, _, best) in FIGURES.items()
        if isinstance(training.get(name), int | float)
    ]
    if not rows:
        return ""
    counts = cell(training["measured_on"]) if "measured_on" in training else "generated faces against held-out faces"
    return f"""
## Measured

{counts[:1].upper()}{counts[1:]}, on Ganime's anime features. The figures compare with each other alone,
not with an "FID" from elsewhere.

{table([("measure", "this model", "best"), *rows], headed=True)}
"""


def table(rows: list[tuple[str, ...]] | list[tuple[str, str]], headed: bool = False) -> str:
    """A Markdown table. headed: whether the first row is its heading; otherwise the heading is empty."""
    head, *rest = rows if headed else [("",) * len(rows[0]), *rows]
    lines = [head, ("---",) * len(head), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Any) -> str:
    """A fact as one cell of a table."""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return printable(text, 500).replace("|", r"\|")


def quoted_lines(text: str) -> str:
    """What a person wrote, as a quotation: it can hold no heading of its own."""
    return "\n".join(f"> {printable(line, MAX_PROVENANCE)}" for line in text.strip().splitlines())
