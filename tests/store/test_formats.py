"""What a file says about itself, and files of an earlier format."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path

import apsw
import pytest

from lastgood_daemon.process.verify import main as verify_offline
from lastgood_daemon.store.protocol import Append, Committed, Head, LogId, LogRow, Record, RecordKey, RecordWrite, Unit
from lastgood_daemon.store.sqlite import DamagedFileError, OldFormatError, SqliteStore, StoreOpenError, resting, schema

FORMAT_1 = (
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT",
    """CREATE TABLE logs (
        number INTEGER PRIMARY KEY,
        state_id TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        head INTEGER NOT NULL,
        chain BLOB NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (state_id, incarnation)
    ) STRICT""",
    """CREATE TABLE changes (
        log INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        entry BLOB NOT NULL,
        chain BLOB NOT NULL,
        PRIMARY KEY (log, revision)
    ) STRICT""",
    """CREATE TABLE records (
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        value BLOB NOT NULL,
        checksum BLOB NOT NULL,
        PRIMARY KEY (kind, owner, key)
    ) STRICT""",
    "CREATE INDEX records_by_age ON records (kind, updated_at)",
)
DAEMON_ID = "2f1c6b0e-7d0b-4c56-9a37-1d1f0a9be001"
LOGS = {LogId("trip", 1): 3, LogId("trip", 2): 1, LogId("reise/ä", 1): 2}
KEY = RecordKey("snapshot", "trip", "a")
LATEST = 1_700_000_000_000_000


def rows(log: LogId, last: int) -> list[LogRow]:
    return [LogRow(number, f"{log} {number}".encode() * 99, b"chain %d" % number) for number in range(1, last + 1)]


def checksum(key: RecordKey, version: int, updated_at: int, value: bytes) -> bytes:
    """What format 1 has written."""
    digest = blake2b(digest_size=16)
    for part in key:
        digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    digest.update(version.to_bytes(8, "big", signed=True) + updated_at.to_bytes(8, "big", signed=True) + value)
    return digest.digest()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file as the first daemons made it."""
    path = tmp_path / "lastgood.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA auto_vacuum = 2")
    connection.execute("PRAGMA journal_mode = wal").fetchall()
    with connection:
        for statement in FORMAT_1:
            connection.execute(statement)
        facts = {"format": 1, "daemon_id": DAEMON_ID, "made_at": 1}
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        for number, (log, head) in enumerate(LOGS.items(), start=1):
            connection.execute(
                "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", (number, *log, head, b"chain %d" % head, LATEST)
            )
            connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?)", [(number, *row) for row in rows(log, head)])
        checked = checksum(KEY, 4, 5, b"value")
        connection.execute("INSERT INTO records VALUES (?, ?, ?, 4, 5, ?, ?)", (*KEY, b"value", checked))
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    return path


async def check(path: Path) -> None:
    """See that everything is there, and that it goes on from there."""
    store = SqliteStore.open(path)
    try:
        assert store.daemon_id == store.copy_id == DAEMON_ID
        assert store.now() > LATEST
        for log, head in LOGS.items():
            assert await store.head(log) == Head(head, b"chain %d" % head)
            assert await store.read_log(log, 0, 10) == rows(log, head)
        assert await store.record(KEY) == Record(KEY, b"value", 4)
        assert await store.check() == []
        log = LogId("trip", 1)
        append = Append(log, 3, [LogRow(4, b"entry", b"chain 4")])
        assert await store.commit([Unit([append], [RecordWrite(KEY, b"later", 4)])]) == [Committed()]
        assert await store.head(log) == Head(4, b"chain 4")
    finally:
        await store.close()


def format_of(path: Path) -> tuple[object, object]:
    connection = apsw.Connection(str(path))
    try:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        ((fact,),) = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchall()
        return version, fact
    finally:
        connection.close()


async def test_a_file_of_format_1_becomes_one_of_format_2(old: Path) -> None:
    assert format_of(old) == (1, 1)
    await check(old)
    assert format_of(old) == (2, 2)


class CutError(Exception):
    """Ends the work in its middle."""


@pytest.mark.parametrize("version", [-1, 1, 3, 2**31 - 1])
def test_a_file_with_another_version_than_its_tables_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "lastgood.db"
    asyncio.run(_closed(path))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(StoreOpenError, match=r"user_version|format version"):
        SqliteStore.open(path)
    assert path.read_bytes() == before


async def _closed(path: Path) -> None:
    await SqliteStore.open(path).close()


@pytest.mark.parametrize("cut", range(1, 12))
async def test_an_upgrade_that_is_cut_off_has_not_happened(old: Path, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each statement that changes the file."""
    whole = schema.upgrade
    left = cut

    def count(_: apsw.Cursor, statement: str, __: object) -> bool:
        nonlocal left
        if statement.split(maxsplit=1)[0] in {"ALTER", "CREATE", "UPDATE", "INSERT"} or "user_version =" in statement:
            left -= 1
            if not left:
                raise CutError
        return True

    def upgrade(connection: apsw.Connection, path: Path) -> None:
        connection.exec_trace = count
        whole(connection, path)
        connection.exec_trace = None

    with monkeypatch.context() as patched:
        patched.setattr(schema, "upgrade", upgrade)
        with pytest.raises(CutError):
            SqliteStore.open(old)
    assert format_of(old) == (1, 1)
    await check(old)


async def test_a_file_of_format_1_is_not_read_without_a_daemon(old: Path) -> None:
    before = old.read_bytes()
    with pytest.raises(OldFormatError, match=r"format version 1, .* version 2 .* start one .*lastgood serve"):
        async with resting(old):
            pass
    assert old.read_bytes() == before


def test_lastgood_verify_says_so_too(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = old.read_bytes()
    assert verify_offline(["--data-dir", str(old.parent)]) == 2
    assert "start one on the folder once" in capsys.readouterr().err
    assert old.read_bytes() == before


def run(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    assert connection.changes()
    connection.close()


async def made(path: Path) -> None:
    await SqliteStore.open(path).close()


async def backed_up(path: Path) -> None:
    store = SqliteStore.open(path.with_name("live.db"))
    try:
        await store.backup(path.parent.parent / "copy")
    finally:
        await store.close()
    shutil.copy(path.parent.parent / "copy" / "live.db", path)


@pytest.mark.parametrize("make", [made, backed_up])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE meta SET value = 'x' || value WHERE name IN ('daemon_id')",
        "UPDATE meta SET value = value + 1 WHERE name = 'made_at'",
        "UPDATE meta SET name = name || 'e' WHERE name IN ('copy_id', 'made_at')",
        "DELETE FROM meta WHERE name IN ('copy_id', 'made_at')",
        "DELETE FROM meta WHERE name = 'checksum'",
        "INSERT INTO meta VALUES ('more', x'00')",
    ],
)
async def test_a_damaged_fact_about_the_file_is_noticed(
    tmp_path: Path, make: Callable[[Path], Awaitable[None]], damage: str
) -> None:
    """With another identity effects would get other idempotency keys, and run again."""
    path = tmp_path / "data" / "lastgood.db"
    path.parent.mkdir()
    await make(path)
    await SqliteStore.open(path).close()
    run(path, damage)
    with pytest.raises(DamagedFileError, match=r"does not match its checksum.*backup"):
        SqliteStore.open(path)
    with pytest.raises(DamagedFileError):
        async with resting(path):
            pass


def test_lastgood_verify_names_a_damaged_fact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lastgood.db"
    asyncio.run(made(path))
    run(path, "UPDATE meta SET value = 'x' || value WHERE name = 'daemon_id'")
    assert verify_offline(["--data-dir", str(tmp_path)]) == 1
    assert "its table meta, or what it says of its tables, does not match its checksum" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "other"), [(b"pieces INTEGER", b"piezes INTEGER"), (b"DEFAULT 0", b"DEFAULT 1"), (b"value ANY", b"valuf ANY")]
)
async def test_a_damaged_definition_of_a_table_is_noticed(tmp_path: Path, name: bytes, other: bytes) -> None:
    path = tmp_path / "lastgood.db"
    await made(path)
    content = path.read_bytes()
    assert content.count(name) == 1
    path.write_bytes(content.replace(name, other))
    with pytest.raises(DamagedFileError, match="what it says of its tables"):
        SqliteStore.open(path)
    with pytest.raises(DamagedFileError):
        async with resting(path):
            pass


async def test_a_header_that_lets_sqlite_only_read_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "lastgood.db"
    await _closed(path)
    content = bytearray(path.read_bytes())
    content[18] ^= 0x80
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="names version 130 to write it with"):
        SqliteStore.open(path)
    with pytest.raises(DamagedFileError):
        async with resting(path):
            pass
