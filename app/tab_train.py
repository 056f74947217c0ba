"""The Train tab: how to train a model on one's own faces today."""

from __future__ import annotations

import gradio as gr

TEXT = """\
## Train on your own faces

Training from this page is not built yet. The trainer itself is: on your own machine it takes a folder or a zip of
faces and writes a model that this page can show.

```text
python -m ganime train my-faces/ \\
  --out runs/mine --minutes 60
GANIME_MODEL=runs/mine python -m app
```

Stop it with Ctrl+C whenever you like and go on later with `--resume runs/mine`. Sample grids are kept in
`runs/mine/previews`. From scratch it needs thousands of faces and, on two CPU cores, hours.
"""


def build() -> None:
    """The tab's text."""
    gr.Markdown(TEXT)
