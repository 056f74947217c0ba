"""How imports are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganime.errors import CheckpointError
from ganime.models.importing import import_generator


def refusal(file: Path) -> str:
    """What the import says; the file is always named."""
    with pytest.raises(CheckpointError) as caught:
        import_generator(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 1000
    return str(caught.value)
