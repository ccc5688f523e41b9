"""Every single write and sync may fail, as the first one or the hundredth, for good or for want of room.

A write that finds no room is refused, nothing of it is there, and it is done when it is sent again and there is room. After
any other error it is unknown what was written: nothing more is answered or read, and the next process finds all that was
acknowledged, and of the rest each group whole or not at all, whether the power has gone meanwhile or not.
"""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.chaos import sizes
from tests.chaos.inline import without_threads
from tests.chaos.ledger import STATES, Ledger, Process, check_logs, observed
from tests.chaos.powercut import Disk

from lastgood_daemon.authority.outcomes import Outcome, Refused
from lastgood_daemon.store.protocol import LogId, StoreBrokenError, StoreFullError
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_daemon.store.sqlite import store as module

pytestmark = pytest.mark.slow

CALLS = 100
SEEDS = sizes.of(1, 5)
CHECKPOINT_PAGES = 20
"""Instead of 1000: the WAL is brought into the file, and begun anew, all the time."""
LAST_CALLS = ("write", "sync", "truncate", "delete")
"""What closing a file does to it."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_PAGES", CHECKPOINT_PAGES)


class Nth:
    """Has the n-th call of a kind fail; ``lasting``: and all that come after it, until there is room again."""

    def __init__(self, call: str, number: int, error: int, *, lasting: bool = False) -> None:
        self._call = call
        self._left = number
        self._error = error
        self._lasting = lasting
        self.fired = False

    def __call__(self, call: str) -> int:
        if call == self._call:
            self._left -= 1
        self.fired = self.fired or self._left == 0
        fails = self._left <= 0 and call == self._call if self._lasting else self._left == 0 and call == self._call
        return self._error if fails else 0


@contextlib.contextmanager
def disk_of(folder: Path, random: Random) -> Iterator[Disk]:
    folder.mkdir()
    disk = Disk(folder, random)
    try:
        yield disk
    finally:
        disk.unregister()


def lasts(error: int, number: int) -> bool:
    """Whether a disk stays full; of those that fail, every other one works again at once, which must not help it."""
    return error == errno.ENOSPC or number % 2 == 0


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["write", "sync"])
async def test_any_call_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int) -> None:
    without_threads(monkeypatch)
    for seed in range(SEEDS):
        for number in range(1, CALLS + 1):
            random = Random(f"{seed} {number}")
            with disk_of(tmp_path / f"{seed} {number}", random) as disk:
                store = SqliteStore.open(disk.folder / "lastgood.db")
                process, ledger = Process(store), Ledger(random)
                # All is in memory, so that the calls are those of commits and of the checkpoints after them.
                await observed(process.authority)
                ledger.more(1)
                assert await process.send(ledger, ledger.in_flight)
                disk.fault = fault = Nth(call, number, error, lasting=lasts(error, number))
                while not fault.fired:
                    ledger.more(random.choice((1, 1, 4)))
                    assert await process.send(ledger, ledger.in_flight, at_once=4) or fault.fired
                    assert ledger.acknowledged < 500, "it makes no such call"
                if error == errno.ENOSPC and call == "write":
                    await goes_on_when_there_is_room(store, process, ledger, disk)
                else:
                    await serves_nothing_more(store, process, ledger)
                    disk.fault = None
                    if random.random() < 0.5:
                        disk.cut()
                        disk.restart()
                await is_whole(disk.folder / "lastgood.db", ledger)


async def goes_on_when_there_is_room(store: SqliteStore, process: Process, ledger: Ledger, disk: Disk) -> None:
    """A full disk: writes are refused, reads are answered; then there is room, and everything works."""
    refused = [item.outcome for item in ledger.in_flight]
    assert {reason(outcome) for outcome in refused} <= {"OVERLOADED"}
    if not refused:  # it happened where nobody waited for it; the next one has to write, too
        ledger.more(1)
    for _ in range(2):
        assert not await process.send(ledger, ledger.in_flight, at_once=4)
        assert {reason(item.outcome) for item in ledger.in_flight} == {"OVERLOADED"}
    assert process.authority.broken is None
    assert await observed(process.authority) == ledger.expected(ledger.acknowledged)
    await check_logs(store, ledger.expected(ledger.acknowledged))
    disk.fault = None
    ledger.more(3)
    assert await process.send(ledger, ledger.in_flight, at_once=4)
    assert await process.end() is None
    await store.close()


async def serves_nothing_more(store: SqliteStore, process: Process, ledger: Ledger) -> None:
    """A broken disk: what was in flight is unknown, and that was it."""
    if not ledger.in_flight:  # it happened where nobody waited for it; the next one is told
        ledger.more(1)
        assert not await process.send(ledger, ledger.in_flight)
    assert {reason(item.outcome) for item in ledger.in_flight} == {"OUTCOME_UNKNOWN"}
    assert process.authority.broken is not None
    ledger.more(1)
    assert not await process.send(ledger, ledger.items[-1:])
    assert reason(ledger.items[-1].outcome) == "UNAVAILABLE"
    for name in STATES:
        with pytest.raises(StoreBrokenError):
            await store.head(LogId(name, 1))
        with pytest.raises(StoreBrokenError):
            await store.records("snapshot", name)
    assert await process.end() is process.authority.broken
    await store.close()


async def is_whole(path: Path, ledger: Ledger) -> None:
    """The next process has all that was acknowledged, and does what was not."""
    store = SqliteStore.open(path)
    process = Process(store)
    await ledger.check(process.authority)
    assert await process.send(ledger, ledger.in_flight, at_once=4)
    content = await observed(process.authority)
    assert content == ledger.expected(len(ledger.items))
    await check_logs(store, content)
    assert await process.end() is None
    await store.close()


def reason(outcome: Outcome | None) -> str | None:
    return outcome.reason if isinstance(outcome, Refused) else None


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
async def test_any_call_may_fail_while_a_file_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    without_threads(monkeypatch)
    for call in ("create", *LAST_CALLS):
        number, fired = 0, True
        while fired:
            number += 1
            random = Random(number)
            with disk_of(tmp_path / f"{call} {number}", random) as disk:
                path = disk.folder / "lastgood.db"
                disk.fault = fault = Nth(call, number, error, lasting=lasts(error, number))
                full = error == errno.ENOSPC and call == "write"
                try:
                    store = SqliteStore.open(path)
                except StoreFullError:
                    assert fault.fired
                    assert error == errno.ENOSPC
                except StoreBrokenError:
                    assert fault.fired
                    assert not full
                else:
                    disk.fault = None
                    await store.close()
                disk.fault, fired = None, fault.fired
                if random.random() < 0.5:
                    disk.cut()
                    disk.restart()
                ledger = Ledger(random)
                ledger.more(3)
                await is_whole(path, ledger)
        assert number > 1 or call == "truncate"


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
async def test_any_call_may_fail_while_a_file_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    without_threads(monkeypatch)
    for call in LAST_CALLS:
        number, fired = 0, True
        while fired:
            number += 1
            random = Random(number)
            with disk_of(tmp_path / f"{call} {number}", random) as disk:
                path = disk.folder / "lastgood.db"
                store = SqliteStore.open(path)
                process, ledger = Process(store), Ledger(random)
                ledger.more(10)
                assert await process.send(ledger, ledger.in_flight, at_once=4)
                assert await process.end() is None
                disk.fault = fault = Nth(call, number, error, lasting=lasts(error, number))
                # A WAL that cannot be brought in, for want of room, or deleted, is safe where it is.
                quiet = call == "delete" or (error == errno.ENOSPC and call == "write")
                try:
                    await store.close()
                except StoreBrokenError:
                    assert not quiet
                else:
                    assert quiet or not fault.fired, "nobody was told"
                disk.fault, fired = None, fault.fired
                if random.random() < 0.5:
                    disk.cut()
                    disk.restart()
                await is_whole(path, ledger)
        assert number > 1


async def test_a_file_that_cannot_be_read_is_not_opened_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its WAL, too, which closing a file brings in otherwise."""
    without_threads(monkeypatch)
    random = Random(1)
    with disk_of(tmp_path / "read", random) as disk:
        path = disk.folder / "lastgood.db"
        wal = path.with_name("lastgood.db-wal")
        store = SqliteStore.open(path)
        process, ledger = Process(store), Ledger(random)
        ledger.more(4)
        assert await process.send(ledger, ledger.in_flight)
        assert await process.end() is None
        disk.cut()
        with pytest.raises(StoreBrokenError):
            await store.close()
        disk.restart()
        before = path.read_bytes(), wal.read_bytes()
        for number in range(1, CALLS):
            disk.fault = fault = Nth("read", number, errno.EIO)
            try:
                store = SqliteStore.open(path)
            except StoreBrokenError:
                assert fault.fired
            else:
                break
            assert wal.read_bytes().startswith(before[1])  # with what the start notes, where one of the last reads fails
            if wal.read_bytes() == before[1]:
                assert path.read_bytes() == before[0]
            path.write_bytes(before[0])
            wal.write_bytes(before[1])
        assert number > 5
        assert not fault.fired
        disk.fault = None
        await store.close()
        await is_whole(path, ledger)
