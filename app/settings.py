"""The settings of a page, and the environment variables named GANIME_* that they are read from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from ganime.embedded import PACKAGED

MEGABYTE = 2**20
SPARE_BYTES = 200 * MEGABYTE  # of the disk always stay free, so that training jobs can save
ROOT = Path(__file__).resolve().parent.parent


def default_home() -> Path:
    """Return `/data/ganime` if `/data` exists, as on a Space with storage, else the hidden folder `.ganime`.

    That folder is in the current folder for an installed package, and beside the code in a checkout.
    """
    data = Path("/data")
    if data.is_dir():
        return data / "ganime"
    return (Path.cwd() if PACKAGED.is_dir() else ROOT) / ".ganime"


class Settings(BaseSettings):
    """The settings of a page, read from variables named GANIME_*.

    docs/hosting.md repeats each description word for word.
    """

    model_config = SettingsConfigDict(env_prefix="GANIME_", hide_input_in_errors=True)

    model: str = Field(
        default="",
        description="model at the start: a folder, or `owner/name[@revision]` on the hub; empty for the embedded one",
    )
    share_model: bool = Field(
        default=False,
        description="whether visitors may train on from a private `GANIME_MODEL`, and so download its weights",
    )
    home: Path = Field(
        default_factory=default_home, description="folder for downloaded models, decoded faces and training jobs"
    )
    hub_timeout: float = Field(default=10.0, gt=0, le=600, description="seconds to wait for an answer of the hub")
    model_megabytes: int = Field(
        default=64, ge=1, le=512, description="largest file, in MB, of a hub model that a visitor may load"
    )
    cache_megabytes: int = Field(
        default=2048, ge=64, description="disk space, in MB, for hub models; the least recently used are deleted first"
    )
    training: Literal["open", "login", "off"] = Field(
        default_factory=lambda: "login" if "SPACE_ID" in os.environ else "open",
        description="who may train: everyone (`open`), visitors who are signed in (`login`), or nobody (`off`)",
    )
    jobs: int = Field(default=1, ge=1, le=64, description="number of training jobs that run at the same time")
    queue: int = Field(default=8, ge=0, le=1000, description="number of training jobs that may wait")
    visitor_jobs: int = Field(
        default=4, ge=1, le=1000, description="jobs per visitor, including uploads and recently finished jobs"
    )
    job_minutes: float = Field(
        default=120, gt=0, le=10**5, description="longest training time of a job, in minutes; it can be continued"
    )
    job_threads: int = Field(
        default=0, ge=0, le=256, description="CPU threads per training job; 0 for half of the cores"
    )
    upload_megabytes: int = Field(
        default=512, ge=1, description="largest upload of a visitor, in MB, compressed as well as uncompressed"
    )
    upload_faces: int = Field(default=30_000, ge=16, description="largest number of pictures in an upload")
    disk_gigabytes: float = Field(
        default=20,
        gt=0,
        le=10**6,
        description="disk space, in GB, for training jobs and uploads; the oldest finished jobs are deleted first",
    )
    keep_hours: float = Field(default=48, ge=0, le=10**6, description="hours for which a finished job is never deleted")
    mcp: bool = Field(
        default=False,
        description="whether language models may draw with the page, over MCP; needs the extra `mcp`",
    )
    proxies: int = Field(
        default_factory=lambda: int("SPACE_ID" in os.environ),
        ge=0,
        le=16,
        description="number of trusted reverse proxies; decides which `X-Forwarded-For` entry identifies a visitor",
    )

    @property
    def temporary(self) -> Path:
        """The folder for files that Gradio receives and serves."""
        return Path(os.environ.get("GRADIO_TEMP_DIR") or self.home / "gradio").absolute()
