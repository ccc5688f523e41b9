"""What tests of the SQLite store share: a file of its own, some rows, and ways to tamper with it."""

import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw

from lastgood_daemon.store.protocol import (
    Append,
    Committed,
    Head,
    LogId,
    LogRow,
    RecordKey,
    RecordWrite,
)
from lastgood_daemon.store.sqlite import SqliteStore

ONE = LogId("wf/1", 1)
TWO = LogId("wf_1", 1)
SNAPSHOT = RecordKey("snapshot", "wf/1", "a")

DONE = Committed()
EMPTY = Head(0, b"")


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore.open(path)
    try:
        yield store
    finally:
        await store.close()


def rows(first: int, last: int, size: int = 10) -> list[LogRow]:
    """Rows that cannot be compressed."""
    return [LogRow(n, random.Random(n).randbytes(size), b"chain %d" % n) for n in range(first, last + 1)]


def append(log: LogId, first: int, last: int, size: int = 10) -> Append:
    return Append(log, first - 1, rows(first, last, size))


def put(key: RecordKey, value: bytes, expected: int = 0) -> RecordWrite:
    return RecordWrite(key, value, expected)


def tamper(path: Path, statement: str) -> None:
    with contextlib.closing(apsw.Connection(str(path))) as other:
        other.execute(statement)


async def pragma(store: SqliteStore, lane: str, name: str) -> object:
    def read(connection: apsw.Connection) -> Any:  # noqa: ANN401 - whatever the pragma is
        return connection.execute(f"PRAGMA {name}").fetchall()[0][0]

    return await getattr(store, lane).run(read)


async def limit_pages(store: SqliteStore, more: int) -> None:
    """Let the file grow by so many pages and no further."""
    pages = await pragma(store, "_writer", "page_count")
    assert isinstance(pages, int)
    await pragma(store, "_writer", f"max_page_count = {pages + more}")
