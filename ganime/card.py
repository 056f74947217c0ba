"""Model cards: what a checkpoint's README.md says, made from facts alone."""

from __future__ import annotations

from typing import Any

from ganime.config import ModelConfig

FRONT_MATTER = """---
library_name: ganime
pipeline_tag: unconditional-image-generation
tags: [dcgan, anime, gan]
---
"""


def model_card(name: str, config: ModelConfig, training: dict[str, Any]) -> str:
    """The card of a model, in Markdown with the hub's front matter.

    training: facts to list, a label for each value; unknown facts are left out rather than guessed.
    """
    facts = [
        ("Picture", f"{config.image_size} x {config.image_size} px, RGB"),
        ("Latent", f"{config.latent_dim} numbers from N(0, 1)"),
        ("Generator", f"DCGAN, {config.channels[0]} to {config.channels[-1]} channels, norm: {config.generator_norm}"),
        ("Discriminator norm", config.discriminator_norm),
    ]
    facts += [(label.replace("_", " ").capitalize(), str(value)) for label, value in training.items()]
    table = "\n".join(f"| {label} | {value} |" for label, value in facts)
    return f"""{FRONT_MATTER}
# {name}

A DCGAN (Radford et al. 2015) that draws faces, made with Ganime.

| | |
|---|---|
{table}

## Use

```python
from ganime.checkpoint import load_checkpoint
from ganime.sampling import generate

faces = generate(load_checkpoint("{name}"), seeds=range(16))  # uint8, (16, {config.image_size}, {config.image_size}, 3)
```
"""
