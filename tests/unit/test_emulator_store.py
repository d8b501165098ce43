"""What the emulator's database promises."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_avn_token.emulator.errors import EmulatorError
from pulumi_avn_token.emulator.mint import digest_of, draw_token, prefix_of
from pulumi_avn_token.emulator.store import NewToken, Store, Token

USER = "somebody@example.org"
NOW = 1_000_000.0


@pytest.fixture
def store() -> Iterator[Store]:
    """Give a store in memory with one user."""
    store = Store()
    store.add_user(USER, NOW)
    yield store
    store.close()


def add(store: Store, name: str, wanted: NewToken, *, quota: int | None = None) -> Token | None:
    """Add a token whose prefix and digest are told by its name."""
    return store.add_token(USER, wanted, prefix=name, digest=f"digest of {name}", now=NOW, quota=quota)


def mode(path: Path) -> int:
    """Give the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_token_without_age_never_expires(store: Store) -> None:
    """A token that has no age is valid for ever."""
    add(store, "one", NewToken(description="d"))
    (token,) = store.tokens(USER, NOW * 1000)
    assert token.expiry_time is None


def test_token_expires_at_its_age(store: Store) -> None:
    """A token is valid until just before creation plus age, and not at it."""
    add(store, "one", NewToken(description="d", max_age_seconds=600))
    assert store.credential("digest of one", NOW + 599.9)
    assert store.credential("digest of one", NOW + 600) is None
    assert store.tokens(USER, NOW + 600) == []


def test_use_extends_only_if_asked(store: Store) -> None:
    """The age counts from the last use with `extend_when_used`, else from creation."""
    for name, extend in (("moving", True), ("fixed", False)):
        token = add(store, name, NewToken(description="d", max_age_seconds=600, extend_when_used=extend))
        assert token
        assert token.expiry_time == NOW + 600
        used = store.record_use(token, NOW + 500, "127.0.0.1", "agent")
        assert used
        assert used.expiry_time == NOW + (1100 if extend else 600)
    assert [token.token_prefix for token in store.tokens(USER, NOW + 700)] == ["moving"]


def test_expired_token_cannot_be_used(store: Store) -> None:
    """A use at or after expiry is no use."""
    token = add(store, "one", NewToken(description="d", max_age_seconds=600))
    assert token
    assert store.record_use(token, NOW + 600, None, None) is None


def test_ages_come_back_as_they_were_given(store: Store) -> None:
    """A whole age stays whole, and a fraction is kept."""
    whole = add(store, "whole", NewToken(description="d", max_age_seconds=3600))
    broken = add(store, "broken", NewToken(description="d", max_age_seconds=3600.5))
    assert whole
    assert broken
    assert repr(whole.max_age_seconds) == "3600"
    assert broken.max_age_seconds == 3600.5


def test_lists_tell_empty_from_unset(store: Store) -> None:
    """An empty list comes back empty, a list never given as None."""
    token = add(store, "one", NewToken(description="d", scopes=[]))
    assert token
    assert token.scopes == []
    assert token.ip_allowlist is None


def test_quota_counts_valid_tokens_made_by_hand(store: Store) -> None:
    """Login sessions and expired tokens do not count against the quota."""
    add(store, "session", NewToken(description="d", created_manually=False))
    assert add(store, "one", NewToken(description="d"), quota=1)
    assert add(store, "two", NewToken(description="d"), quota=1) is None
    assert add(store, "again", NewToken(description="d", created_manually=False), quota=None)


def test_quota_is_freed_by_expiry(store: Store) -> None:
    """A token that has expired makes room for another."""
    add(store, "one", NewToken(description="d", max_age_seconds=600), quota=1)
    later = store.add_token(USER, NewToken(description="d"), prefix="two", digest="2", now=NOW + 600, quota=1)
    assert later


def test_tokens_are_found_by_prefix_or_digest_and_only_by_their_user(store: Store) -> None:
    """Another user's token cannot be described or revoked, by either of its names."""
    store.add_user("other@example.org", NOW)
    add(store, "one", NewToken(description="d"))
    for names in (("one", "?"), ("?", "digest of one")):
        assert store.describe("other@example.org", *names, "x", NOW) is None
        assert not store.revoke("other@example.org", *names, NOW)
        described = store.describe(USER, *names, "x", NOW)
        assert described
        assert described.description == "x"
    assert store.revoke(USER, "?", "digest of one", NOW)
    assert not store.revoke(USER, "one", "digest of one", NOW)


def test_user_id_is_the_same_in_every_database(store: Store) -> None:
    """A user's id depends on the address alone."""
    other = Store()
    assert other.add_user(USER, NOW + 1).user_id == store.add_user(USER, NOW + 2).user_id
    assert other.add_user("other@example.org", NOW).user_id != store.add_user(USER, NOW).user_id
    other.close()


def test_file_is_private_and_so_are_its_companions(tmp_path: Path) -> None:
    """The database file, its log and its index are made with mode 0600."""
    store = Store(tmp_path / "db")
    store.add_user(USER, NOW)
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == {"db": 0o600, "db-wal": 0o600, "db-shm": 0o600}
    store.close()


def test_wider_file_is_tightened(tmp_path: Path) -> None:
    """A file that others could read is made private when it is opened."""
    path = tmp_path / "db"
    Store(path).close()
    path.chmod(0o644)
    Store(path).close()
    assert mode(path) == 0o600


def test_what_was_changed_is_there_for_the_next(tmp_path: Path) -> None:
    """Tokens and the clock's offset outlive the store that wrote them."""
    store = Store(tmp_path / "db")
    store.add_user(USER, NOW)
    add(store, "one", NewToken(description="d", ip_allowlist=["10.0.0.0/8"]))
    store.clock_offset = 5.5
    store.close()
    store = Store(tmp_path / "db")
    assert store.clock_offset == 5.5
    assert [token.ip_allowlist for token in store.tokens(USER, NOW)] == [["10.0.0.0/8"]]
    store.close()


def test_another_applications_database_is_left_alone(tmp_path: Path) -> None:
    """A database that is not the emulator's is refused unchanged, its mode included."""
    path = tmp_path / "db"
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(EmulatorError, match="belongs to another application"):
        Store(path)
    assert path.read_bytes() == before
    assert mode(path) == 0o644


@pytest.mark.parametrize("kind", ["folder", "text", "nowhere"])
def test_unusable_file_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    """A path that cannot be a database is refused in one line that names it, and a foreign file keeps its content."""
    path = tmp_path / "x" / "db" if kind == "nowhere" else tmp_path / "db"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("precious\n" * 100)
    with pytest.raises(EmulatorError) as caught:
        Store(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert kind != "text" or path.read_text() == "precious\n" * 100


def test_stores_on_one_file_keep_each_others_changes(tmp_path: Path) -> None:
    """Several stores that open and write one file at the same time lose nothing and fail nowhere."""
    path, writers, each = tmp_path / "db", 6, 20
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            store = Store(path)
            store.add_user(USER, NOW)
            for number in range(each):
                add(store, f"{writer}-{number}", NewToken(description="d"))
            store.close()
        except BaseException as error:  # noqa: BLE001 - told by the test below
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store = Store(path)
    assert len(store.tokens(USER, NOW)) == writers * each
    store.close()


def test_store_waits_for_others_that_open_the_file(tmp_path: Path) -> None:
    """SQLite refuses a change of the file's mode at once where another opens it: that is no reason to fail."""
    failures: list[BaseException] = []

    def open_(path: Path) -> None:
        try:
            Store(path).close()
        except BaseException as error:  # noqa: BLE001 - told by the test below
            failures.append(error)

    for number in range(200):
        threads = [threading.Thread(target=open_, args=(tmp_path / f"db{number}",)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_quota_holds_between_stores(tmp_path: Path) -> None:
    """Two stores on one file cannot both give the last place of a quota away."""
    stores = [Store(tmp_path / "db"), Store(tmp_path / "db")]
    stores[0].add_user(USER, NOW)
    made: list[Token | None] = []

    def write(store: Store, writer: int) -> None:
        made.extend(add(store, f"{writer}-{number}", NewToken(description="d"), quota=5) for number in range(10))

    threads = [threading.Thread(target=write, args=(store, writer)) for writer, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([token for token in made if token]) == 5
    for store in stores:
        store.close()


def test_drawn_tokens_look_like_the_services() -> None:
    """A full token has 372 characters, and a prefix of 12 with a plus and a slash in it."""
    tokens = [draw_token() for _ in range(50)]
    assert {len(token) for token in tokens} == {372}
    assert all(len(prefix_of(token)) == 12 and {"+", "/"} <= set(prefix_of(token)) for token in tokens)
    assert len({digest_of(token) for token in tokens}) == 50
