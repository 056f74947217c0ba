"""Training jobs as rows of an SQLite file: what outlives the page, its processes and the machine."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, event, func
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import Field, Session, SQLModel, col, create_engine, select

from app.errors import JobError, JobMissing

DRAFT, QUEUED, RUNNING, STOPPING = "draft", "queued", "running", "stopping"
FINISHED, FAILED, INTERRUPTED = "finished", "failed", "interrupted"
ACTIVE, ENDED = (RUNNING, STOPPING), (FINISHED, FAILED, INTERRUPTED)
BUSY_SECONDS = 5.0  # to wait for another process that writes
DATABASE = "jobs-1.sqlite"  # the number changes with the columns


class Job(SQLModel, table=True):
    """One training job. Times are seconds since 1970, 0 for not yet; a key and a visitor are kept as SHA-256 alone.

    minutes, images: limits of this attempt, 0 images for none. trained: seconds trained before this attempt.
    start: name of the model it begins from, empty for scratch. bytes: disk it takes or has been promised.
    attempt: how often it was started. pid, pid_time: the child and when that was started, for the system reuses
    numbers; both None while there is no child. save: the child is to be told to save. asked: when it was told to
    stop. deleted: to be removed.
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
    """The rows, for any thread and any number of processes. Raises JobError when they cannot be read or written."""

    def __init__(self, home: Path) -> None:
        path = home / DATABASE
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JobError(f"The folder for jobs, GANIME_HOME, cannot be made ({error}).") from error
        with explained(path):
            url = URL.create("sqlite", database=str(path))
            self.engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
            event.listen(self.engine, "connect", prepare)
            event.listen(self.engine, "begin", begin)
            self.reader = self.engine.execution_options(reading=True)
            self.path = path
            with self.engine.begin() as connection:
                SQLModel.metadata.create_all(connection)
            self.held = self.engine.connect()  # the log's file stays while this is open

    def close(self) -> None:
        self.held.close()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction that sees and changes the rows alone; it is undone when the block raises."""
        with explained(self.path), Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A view of the rows as they are now, which no writer delays."""
        with explained(self.path), Session(self.reader, expire_on_commit=False) as session:
            yield session

    def find(self, session: Session, key: str, admin_token: str = "") -> Job:
        """The job of a key, `ID.SECRET`; the owner's token is a secret that fits every job.

        Raises JobMissing, in the same words, for a job that is not there and a key that does not fit.
        """
        identity, _, secret = key.partition(".") if isinstance(key, str) else ("", "", "")
        job = session.get(Job, identity) if re.fullmatch("[0-9a-f]{16}", identity) else None
        fits = hmac.compare_digest(digest(secret), job.key if job else digest(""))
        owned = bool(admin_token) and hmac.compare_digest(digest(secret), digest(admin_token))
        if job is None or job.deleted or not (fits or owned):
            raise JobMissing("There is no such job here, or this is not its key. It may have been deleted since.")
        return job

    def ahead(self, session: Session, job: Job) -> list[Job]:
        """The jobs that a waiting one waits for, in the order of their turns; empty for one that does not wait."""
        if job.state != QUEUED:
            return []
        earlier = (col(Job.queued) < job.queued) | ((col(Job.queued) == job.queued) & (col(Job.id) < job.id))
        before = col(Job.state).in_(ACTIVE) | ((col(Job.state) == QUEUED) & earlier)
        jobs = session.exec(
            select(Job).where(col(Job.deleted).is_(False), before).order_by(col(Job.queued), col(Job.id))
        )
        return sorted(jobs, key=lambda job: job.state == QUEUED)  # those that run first


def count(session: Session, *conditions: object) -> int:
    """How many jobs that are not to be removed fulfil the conditions."""
    query = select(func.count()).select_from(Job).where(col(Job.deleted).is_(False), *conditions)  # type: ignore[arg-type]
    return session.exec(query).one()


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def prepare(connection: object, record: object) -> None:
    """Leave transactions to us, and let those who read go on beside one that writes.

    The log is emptied after every transaction and its file kept, so that the next one needs no new room on the disk:
    what became of a job can be written when that has filled up.
    """
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for setting in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=1"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What goes wrong with the file, in words for a visitor."""
    try:
        yield
    except DBAPIError as error:
        text = str(error.orig)
        if "locked" in text or "busy" in text:
            raise JobError("The list of jobs is in use by another program just now. Try again in a moment.") from error
        if "full" in text:
            raise JobError("The disk of this page is full, so nothing about jobs can be written.") from error
        raise JobError(f"The list of jobs, {path.name}, cannot be read or written ({text}).") from error
