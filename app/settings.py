"""Every environment variable the app reads, in one place."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


def default_home() -> Path:
    """`/data` where a Space has attached storage, else a hidden folder beside the code."""
    data = Path("/data")
    return data / "ganime" if data.is_dir() else ROOT / ".ganime"


class Settings(BaseSettings):
    """Read from variables named GANIME_*; see README for their meaning to a user."""

    model_config = SettingsConfigDict(env_prefix="GANIME_")

    model: str = Field(
        default="", description="Model at start: a folder or repo_id[@revision]; empty for the embedded one."
    )
    home: Path = Field(default_factory=default_home, description="Where pulled models and everything else is kept.")
    hub_timeout: float = Field(default=10.0, gt=0, le=600, description="Seconds to wait for an answer of the hub.")
    model_megabytes: int = Field(default=64, ge=1, le=512, description="The largest file of a model visitors may load.")
    cache_megabytes: int = Field(default=2048, ge=64, description="Disk for pulled models; the oldest give way.")
    models_in_memory: int = Field(default=4, ge=1, le=64, description="Models kept loaded beside the default one.")
