"""Training jobs as rows of an SQLite file, which outlives the page and its processes."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, event, func
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import Field, Session, SQLModel, col, create_engine, select

from app.errors import JobError, JobMissing
from app.jobs.mirror import Mirror, is_on_network

DRAFT, QUEUED, RUNNING, STOPPING = "draft", "queued", "running", "stopping"
FINISHED, FAILED, INTERRUPTED = "finished", "failed", "interrupted"
ON_HUB = "elsewhere"  # a stored value: trains on the visitor's account on the hub, without a trainer here
ACTIVE, ENDED = (RUNNING, STOPPING), (FINISHED, FAILED, INTERRUPTED)
DATABASE = "jobs-1.sqlite"  # the number changes with the columns


class Job(SQLModel, table=True):
    """One training job. Times are seconds since 1970, 0 for "not yet".

    key, visitor: SHA-256 of the secret and of the visitor's identity; neither is stored itself
    minutes, images: limits of this attempt, 0 images for no limit
    ended: of a job that trains on the hub, when it will have ended at the latest
    trained: seconds trained before this attempt
    start: name of the model it begins from, "" for none
    bytes: disk space that it takes or that is reserved for it
    attempt: how often it was started
    pid, pid_time: the trainer's process and its start time, since the system reuses numbers; None without a trainer
    save: the trainer is to be signalled to save
    asked: when the trainer was signalled to stop
    deleted: the supervisor is to delete its files and this row
    """

    id: str = Field(primary_key=True)
    key: str
    visitor: str = Field(index=True)
    name: str = ""
    state: str = Field(default=DRAFT, index=True)
    reason: str = ""
    deleted: bool = False
    recipe: str = ""
    image_size: int = 0
    minutes: float = 0.0
    images: int = 0
    start: str = ""
    trained: float = 0.0
    faces: int = 0
    bytes: int = 0
    created: float = 0.0
    queued: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    attempt: int = 0
    pid: int | None = None
    pid_time: float | None = None
    save: bool = False
    asked: float = 0.0


class Store:
    """The rows, for any thread and any number of processes. Raises JobError when they cannot be read or written.

    busy: seconds to wait for another process that writes
    path: of the database, beside which other files for processes of this machine may lie
    """

    def __init__(self, home: Path, busy: float = 5.0) -> None:
        path = home / DATABASE
        try:
            home.mkdir(parents=True, exist_ok=True)
            self.mirror = Mirror(path) if is_on_network(home) else None
        except OSError as error:
            raise JobError(f"The folder for jobs, GANIME_HOME, cannot be created ({error}).") from error
        with explain_database_errors(path):
            self.path = self.mirror.live if self.mirror else path
            url = URL.create("sqlite", database=str(self.path))
            self.engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": busy})
            event.listen(self.engine, "connect", prepare)
            event.listen(self.engine, "begin", begin)
            self.reader = self.engine.execution_options(reading=True)
            with self.engine.begin() as connection:
                SQLModel.metadata.create_all(connection)
            self.held = self.engine.connect()  # keeps the write-ahead log file, see `prepare`
            if self.mirror:
                self.mirror.start()

    def close(self) -> None:
        self.held.close()
        if self.mirror:
            self.mirror.close()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction with exclusive write access; it is rolled back when the block raises."""
        with explain_database_errors(self.path), Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.commit()
        if self.mirror:
            self.mirror.changed.set()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A snapshot of the rows; writers do not delay it."""
        with explain_database_errors(self.path), Session(self.reader, expire_on_commit=False) as session:
            yield session

    def find(self, session: Session, key: str) -> Job:
        """Return the job that `key`, `ID.SECRET`, opens.

        Raises JobMissing, with one text for an unknown job and for a wrong secret.
        """
        identity, _, secret = key.partition(".") if isinstance(key, str) else ("", "", "")
        job = session.get(Job, identity) if re.fullmatch("[0-9a-f]{16}", identity) else None
        fits = hmac.compare_digest(secret_digest(secret), job.key if job else secret_digest(""))
        if job is None or job.deleted or not fits:
            raise JobMissing("There is no such job here, or this is not its key. It may have been deleted since.")
        return job

    def ahead(self, session: Session, job: Job) -> list[Job]:
        """Return the jobs that start before a waiting one, running ones first; empty if `job` does not wait."""
        if job.state != QUEUED:
            return []
        earlier = (col(Job.queued) < job.queued) | ((col(Job.queued) == job.queued) & (col(Job.id) < job.id))
        before = col(Job.state).in_(ACTIVE) | ((col(Job.state) == QUEUED) & earlier)
        jobs = session.exec(
            select(Job).where(col(Job.deleted).is_(False), before).order_by(col(Job.queued), col(Job.id))
        )
        return sorted(jobs, key=lambda job: job.state == QUEUED)  # running ones first


def count(session: Session, *conditions: object) -> int:
    """Return the number of jobs that fulfil the conditions and are not deleted."""
    query = select(func.count()).select_from(Job).where(col(Job.deleted).is_(False), *conditions)  # type: ignore[arg-type]
    return session.exec(query).one()


def secret_digest(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal digits."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def prepare(connection: object, record: object) -> None:
    """Configure a connection: transactions start in `begin`; a write-ahead log, so that readers never wait.

    The log is emptied after every transaction, or before the next one where somebody was reading, and its file is kept,
    so that a transaction needs no new disk space: the end of a job can be recorded even on a full disk.
    """
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for setting in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=1"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def begin(connection: Connection) -> None:
    """Start a transaction; one that writes takes the write lock at once."""
    if connection.get_execution_options().get("reading"):
        connection.exec_driver_sql("BEGIN")
        return
    with suppress(DBAPIError):  # the disk is full; there may be room in the log
        connection.exec_driver_sql("PRAGMA wal_checkpoint")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def explain_database_errors(path: Path) -> Iterator[None]:
    """Turn an error of the database into a JobError."""
    try:
        yield
    except DBAPIError as error:
        text = str(error.orig)
        if "locked" in text or "busy" in text:
            raise JobError("The list of jobs is in use by another program. Try again in a moment.") from error
        if "full" in text:
            raise JobError("The disk of this page is full, so jobs cannot be changed.") from error
        raise JobError(f"The list of jobs, {path.name}, cannot be read or written ({text}).") from error
