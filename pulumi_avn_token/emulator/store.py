"""What is kept, and how it survives: users and their tokens in SQLite.

SQL and nothing else. Times are seconds since the epoch, and the clock is passed in. Full tokens never get here, only
their digests. One store may be used from several threads, one file by several stores.
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pulumi_avn_token.emulator.errors import EmulatorError, short

_APPLICATION_ID = 0x41564E54  # "AVNT", in the header of every file of ours
_BUSY_SECONDS = 10.0  # how long to wait for another process's change
_POLL_SECONDS = 0.01
_PRIVATE = 0o600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    user TEXT PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE,
    real_name TEXT NOT NULL,
    create_time REAL NOT NULL,
    token_validity_begin REAL
);
CREATE TABLE IF NOT EXISTS tokens (
    token_prefix TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL REFERENCES users (user),
    description TEXT NOT NULL,
    created_manually INTEGER NOT NULL,
    create_time REAL NOT NULL,
    max_age_seconds NUMERIC,
    extend_when_used INTEGER NOT NULL,
    ip_allowlist TEXT,
    scopes TEXT,
    last_used_time REAL,
    last_ip TEXT,
    last_user_agent TEXT
);
CREATE INDEX IF NOT EXISTS tokens_of_user ON tokens (user);
CREATE VIEW IF NOT EXISTS expiring_tokens AS
    SELECT *, max_age_seconds
        + CASE WHEN extend_when_used THEN coalesce(last_used_time, create_time) ELSE create_time END AS expiry_time
    FROM tokens;
CREATE TABLE IF NOT EXISTS clock (offset_seconds REAL NOT NULL);
INSERT INTO clock SELECT 0 WHERE NOT EXISTS (SELECT * FROM clock);
"""


@dataclass(frozen=True)
class User:
    """An Aiven user."""

    user: str
    """The address that the user logs in with."""
    user_id: str
    """Stable: the same for the same address in every database."""
    real_name: str
    create_time: float
    token_validity_begin: float | None
    """When the user last expired all tokens; None: never."""


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """What is asked for when a token is made."""

    description: str
    max_age_seconds: float | None = None
    """None: lives for ever."""
    extend_when_used: bool = False
    """Whether the age counts from the last use instead of from creation."""
    ip_allowlist: Sequence[str] | None = None
    """CIDRs that the token works from. None or empty: from everywhere."""
    scopes: Sequence[str] | None = None
    created_manually: bool = True
    """False for a login session."""


@dataclass(frozen=True, kw_only=True)
class Token(NewToken):
    """What is known of a token: all but the secret."""

    token_prefix: str
    user: str
    create_time: float
    expiry_time: float | None
    last_used_time: float | None
    last_ip: str | None
    last_user_agent: str | None


class Store:
    """Users and tokens in the file at `path`, or in memory; raises `EmulatorError` if the file cannot be used."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        try:
            self._db = _open(path)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise EmulatorError(f"cannot use {short(path)} as the emulator's database: {reason}") from error

    def close(self) -> None:
        """Close the file; what was changed before is in it already."""
        with self._lock:
            self._db.close()

    def add_user(self, user: str, now: float) -> User:
        """Give the user of that name, made if there is none yet."""
        user_id = "u" + hashlib.sha256(user.encode()).hexdigest()[:11]
        real_name = user.partition("@")[0].replace(".", " ").title()
        with self._change() as db:
            db.execute(
                "INSERT OR IGNORE INTO users (user, user_id, real_name, create_time) VALUES (?, ?, ?, ?)",
                (user, user_id, real_name, now),
            )
            return User(*db.execute("SELECT * FROM users WHERE user = ?", (user,)).fetchone())

    def add_token(  # noqa: PLR0913 - two names of one secret, and all that decides whether it may be
        self, user: str, wanted: NewToken, *, prefix: str, digest: str, now: float, quota: int | None = None
    ) -> Token | None:
        """Keep a new token; None if the user has `quota` manually made valid ones already."""
        with self._change() as db:
            if quota is not None and sum(token.created_manually for token in _valid(db, now, user=user)) >= quota:
                return None
            db.execute(
                "INSERT INTO tokens (token_prefix, digest, user, description, created_manually, create_time,"
                " max_age_seconds, extend_when_used, ip_allowlist, scopes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    prefix,
                    digest,
                    user,
                    wanted.description,
                    wanted.created_manually,
                    now,
                    wanted.max_age_seconds,
                    wanted.extend_when_used,
                    _packed(wanted.ip_allowlist),
                    _packed(wanted.scopes),
                ),
            )
            row = db.execute("SELECT * FROM expiring_tokens WHERE token_prefix = ?", (prefix,)).fetchone()
            return _token(row)

    def tokens(self, user: str, now: float) -> list[Token]:
        """List the user's valid tokens, oldest first."""
        with self._lock:
            return _valid(self._db, now, user=user)

    def credential(self, digest: str, now: float) -> Token | None:
        """Find the valid token with that digest, whoever's it is."""
        with self._lock:
            return next(iter(_valid(self._db, now, digest=digest)), None)

    def record_use(self, token: Token, now: float, ip: str | None, user_agent: str | None) -> Token | None:
        """Note that a token was used; None if it is valid no more."""
        with self._change() as db:
            if not _valid(db, now, token_prefix=token.token_prefix):
                return None
            db.execute(
                "UPDATE tokens SET last_used_time = ?, last_ip = ?, last_user_agent = ? WHERE token_prefix = ?",
                (now, ip, user_agent, token.token_prefix),
            )
            return _valid(db, now, token_prefix=token.token_prefix)[0]

    def describe(self, user: str, name: str, digest: str, description: str, now: float) -> Token | None:
        """Give the user's token with that prefix or digest a new description; None if there is no such token."""
        with self._change() as db:
            for token in _named(db, user, name, digest, now):
                db.execute(
                    "UPDATE tokens SET description = ? WHERE token_prefix = ?", (description, token.token_prefix)
                )
                return _valid(db, now, token_prefix=token.token_prefix)[0]
            return None

    def revoke(self, user: str, name: str, digest: str, now: float) -> bool:
        """Forget the user's token with that prefix or digest; False if there is no such token."""
        with self._change() as db:
            tokens = _named(db, user, name, digest, now)
            for token in tokens:
                db.execute("DELETE FROM tokens WHERE token_prefix = ?", (token.token_prefix,))
            return bool(tokens)

    def revoke_all(self, user: str, now: float) -> None:
        """Forget every token of the user."""
        with self._change() as db:
            db.execute("DELETE FROM tokens WHERE user = ?", (user,))
            db.execute("UPDATE users SET token_validity_begin = ? WHERE user = ?", (now, user))

    @property
    def clock_offset(self) -> float:
        """How many seconds the emulator's clock is ahead of the machine's; 0 in a new database."""
        with self._lock:
            return float(self._db.execute("SELECT offset_seconds FROM clock").fetchone()[0])

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        with self._change() as db:
            db.execute("UPDATE clock SET offset_seconds = ?", (seconds,))

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Do a change wholly or not at all, with no other writer between its reads and its writes."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db


_OPENING = threading.Lock()


def _open(path: Path | None) -> sqlite3.Connection:
    """Open a database that is nobody else's to read from its first moment on, refuse what is not ours, and prepare it.

    An existing file is opened by SQLite alone: to close it here would drop the locks of this process's other stores.
    """
    if path:
        with _OPENING:
            if not path.exists():
                path.touch(_PRIVATE)
    db = sqlite3.connect(path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _refuse_foreign(db)
        if path:
            _tighten(path)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        _use_wal(db)
        # A killed process loses nothing; a power cut may cost the last change.
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; {_SCHEMA} COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """Have readers and writers not wait for each other. Where two open one file, SQLite refuses that at once."""
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # noqa: PERF203 - it waits
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _refuse_foreign(db: sqlite3.Connection) -> None:
    owner, things = db.execute("SELECT *, (SELECT count(*) FROM sqlite_master) FROM pragma_application_id").fetchone()
    if things and owner != _APPLICATION_ID:
        raise sqlite3.DatabaseError("it belongs to another application")


def _tighten(path: Path) -> None:
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with suppress(FileNotFoundError):
            if file.stat().st_mode & 0o777 != _PRIVATE:
                file.chmod(_PRIVATE)


def _valid(db: sqlite3.Connection, now: float, **wanted: str) -> list[Token]:
    """Select the tokens that are valid now and have the wanted values."""
    where = " AND ".join(f"{column} = :{column}" for column in wanted)
    rows = db.execute(
        f"SELECT * FROM expiring_tokens WHERE {where} AND (expiry_time IS NULL OR expiry_time > :now)"  # noqa: S608
        " ORDER BY create_time, token_prefix",
        {**wanted, "now": now},
    )
    return [_token(row) for row in rows]


def _named(db: sqlite3.Connection, user: str, name: str, digest: str, now: float) -> list[Token]:
    """Select the user's valid token that a caller named by its prefix or by itself."""
    return _valid(db, now, user=user, token_prefix=name) or _valid(db, now, user=user, digest=digest)


def _token(row: sqlite3.Row) -> Token:
    values = {key: row[key] for key in row.keys() if key != "digest"}  # noqa: SIM118 - a Row iterates over its values
    for key in ("created_manually", "extend_when_used"):
        values[key] = bool(values[key])
    for key in ("ip_allowlist", "scopes"):
        values[key] = None if values[key] is None else json.loads(values[key])
    return Token(**values)


def _packed(values: Sequence[str] | None) -> str | None:
    return None if values is None else json.dumps(list(values))
