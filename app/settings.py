"""Every environment variable the app reads, in one place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ganime.files import INSTALLED

LEAST_TOKEN = 16  # characters of GANIME_ADMIN_TOKEN
MEGABYTE = 2**20
ROOT = Path(__file__).resolve().parent.parent


def default_home() -> Path:
    """`/data/ganime` where a Space has attached storage; else `.ganime`, in the working folder for an installed page
    and beside the code for a checkout."""
    data = Path("/data")
    if data.is_dir():
        return data / "ganime"
    return (Path.cwd() if INSTALLED.is_dir() else ROOT) / ".ganime"


class Settings(BaseSettings):
    """Read from variables named GANIME_*; see README for their meaning to a user."""

    model_config = SettingsConfigDict(env_prefix="GANIME_", hide_input_in_errors=True)

    model: str = Field(
        default="", description="Model at start: a folder or repo_id[@revision]; empty for the embedded one."
    )
    share_model: bool = Field(
        default=False, description="Whether visitors may train on from a private model, and so download its weights."
    )
    home: Path = Field(default_factory=default_home, description="Where pulled models and everything else is kept.")
    hub_timeout: float = Field(default=10.0, gt=0, le=600, description="Seconds to wait for an answer of the hub.")
    model_megabytes: int = Field(default=64, ge=1, le=512, description="The largest file of a model visitors may load.")
    cache_megabytes: int = Field(default=2048, ge=64, description="Disk for pulled models; the oldest give way.")
    models_in_memory: int = Field(default=4, ge=1, le=64, description="Models kept loaded beside the default one.")

    training: Literal["open", "login", "off"] = Field(
        default_factory=lambda: "login" if "SPACE_ID" in os.environ else "open",
        description="Who may train: everyone, those who have signed in, or nobody.",
    )
    admin_token: SecretStr = Field(
        default=SecretStr(""), description="Opens the overview of all jobs, and any of them; empty for no overview."
    )
    proxies: int = Field(
        default_factory=lambda: int("SPACE_ID" in os.environ),
        ge=0,
        le=16,
        description="Proxies before this page whose word on a visitor's address is taken.",
    )
    jobs: int = Field(default=1, ge=1, le=64, description="Training jobs that run at a time.")
    job_threads: int = Field(default=0, ge=0, le=256, description="CPU threads a job; 0 for half of the cores.")
    job_minutes: float = Field(default=120, gt=0, le=10**5, description="The longest a job may train at a stretch.")
    queue: int = Field(default=8, ge=0, le=1000, description="Jobs that may wait.")
    visitor_jobs: int = Field(default=4, ge=1, le=1000, description="Jobs a visitor may have here.")
    stop_seconds: float = Field(default=120, gt=0, le=3600, description="Until a job that does not stop is killed.")
    upload_megabytes: int = Field(default=512, ge=1, description="Faces a visitor may upload, packed and unpacked.")
    upload_faces: int = Field(default=30_000, ge=16, description="Pictures in an upload.")
    upload_megapixels: int = Field(default=8_000, ge=1, description="Millions of pixels in an upload.")
    disk_gigabytes: float = Field(default=20, gt=0, description="Disk for all jobs; the oldest ended ones give way.")
    keep_hours: float = Field(default=48, ge=0, description="How long an ended job is safe from giving way.")
    draft_hours: float = Field(default=6, gt=0, description="How long an upload waits to be trained on.")

    @property
    def temporary(self) -> Path:
        """Where Gradio keeps files on their way in and out."""
        return Path(os.environ.get("GRADIO_TEMP_DIR") or self.home / "gradio").absolute()

    @field_validator("admin_token")
    @classmethod
    def unguessable(cls, token: SecretStr) -> SecretStr:
        if 0 < len(token.get_secret_value()) < LEAST_TOKEN:
            raise ValueError(f"GANIME_ADMIN_TOKEN must have at least {LEAST_TOKEN} characters, or none at all")
        return token
