"""Power cuts, thousands of them, at any call that SQLite makes to change its files, under a real store and authority.

A seed is one file with twenty cuts, one after the other, from its making on. After each cut a new process opens what is left,
must find all that was acknowledged, in order, and of the rest each group whole or not at all; it is asked the last command
once more and must give the same answer; and is sent again what was in flight. At the end the file is closed, opened without
any of this, and held against its checksums.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import apsw
import pytest
from tests.chaos import sizes
from tests.chaos.inline import without_threads
from tests.chaos.ledger import Ledger, Process, WrongError, check_logs, observed
from tests.chaos.powercut import Disk

from lastgood_daemon.store.protocol import Committed, CorruptRecordError, Outcome, StoreBrokenError, Unit
from lastgood_daemon.store.sqlite import SqliteStore, StoreOpenError, connection
from lastgood_daemon.store.sqlite import store as module

CUTS_OF_A_FILE = 20
FILES = sizes.of(100, 1000)
FILES_WITH_THREADS = sizes.of(5, 100)
FILES_OF_A_MUTANT = sizes.of(10, 200)
CALLS = 150
"""Of a process to its disk, within which the power is cut."""
CHECKPOINT_PAGES = 20
"""Instead of 1000: the WAL is brought into the file, and begun anew, all the time."""


@dataclass
class Tally:
    """What came of it."""

    cuts: int = 0
    acknowledged: int = 0
    while_doing: Counter[str] = field(default_factory=Counter)
    """Cuts by what was being done."""
    lost: dict[int, int] = field(default_factory=dict)
    """Acknowledged commands that were missing, by seed."""
    torn: dict[int, str] = field(default_factory=dict)
    unusable: dict[int, str] = field(default_factory=dict)

    @property
    def bad(self) -> set[int]:
        return {*self.lost, *self.torn, *self.unusable}

    def __str__(self) -> str:
        return (
            f"{self.cuts} cuts, {self.acknowledged} acknowledged; lost {sum(self.lost.values())} in {len(self.lost)} files;"
            f" torn: {len(self.torn)} files; unusable: {len(self.unusable)} files; {dict(self.while_doing)}"
        )


@pytest.fixture(autouse=True)
def short_wal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_PAGES", CHECKPOINT_PAGES)


async def run(folder: Path, files: int, kind: type[SqliteStore] = SqliteStore, *, deaf: bool = False) -> Tally:
    """Cut the power twenty times under each of so many files."""
    tally = Tally()
    for seed in range(files):
        random = Random(seed)
        ledger = Ledger(random)
        place = folder / str(seed)
        place.mkdir()
        with forgetful(place, random) as disk:
            disk.deaf = deaf
            try:
                for _ in range(CUTS_OF_A_FILE):
                    await one_process(kind, disk, ledger, tally)
            except WrongError as wrong:
                if wrong.lost:
                    tally.lost[seed] = wrong.lost
                else:
                    tally.torn[seed] = str(wrong)
            except (StoreBrokenError, StoreOpenError, CorruptRecordError) as error:
                tally.unusable[seed] = str(error)
        tally.acknowledged += ledger.acknowledged
        if seed not in tally.bad:
            await check_file(place / "lastgood.db", ledger)
    return tally


@contextlib.contextmanager
def forgetful(folder: Path, random: Random) -> Iterator[Disk]:
    """Put a disk that forgets under everything that is opened meanwhile."""
    disk = Disk(folder, random)
    try:
        yield disk
    finally:
        disk.unregister()


async def one_process(kind: type[SqliteStore], disk: Disk, ledger: Ledger, tally: Tally) -> None:
    """Open what the last cut has left, see that it is right, and go on until the power is cut again."""
    random = disk.random
    disk.cut_at = random.randrange(1, CALLS)
    try:
        store = kind.open(disk.folder / "lastgood.db")
    except StoreBrokenError:
        if not disk.off:
            raise
    else:
        process = Process(store)
        try:
            await see_and_go_on(process, ledger, disk)
        finally:
            await process.end()
            with contextlib.suppress(StoreBrokenError):
                await store.close()
    tally.cuts += 1
    tally.while_doing[disk.was_doing] += 1
    disk.cut()
    disk.restart()


async def see_and_go_on(process: Process, ledger: Ledger, disk: Disk) -> None:
    random = disk.random
    await ledger.check(process.authority)
    if ledger.acknowledged:
        last = ledger.items[ledger.acknowledged - 1]
        again = await process.ask_again(last)
        if again != last.outcome and not disk.off:
            raise WrongError(0, f"the answer was {last.outcome} and is now {again}")
    ledger.more(random.randrange(4, 12))
    await process.send(ledger, ledger.in_flight, at_once=random.choice((1, 2, 5)))


async def check_file(path: Path, ledger: Ledger) -> None:
    """See that a file is right down to its checksums, on the real disk."""
    store = SqliteStore.open(path)
    process = Process(store)
    await ledger.check(process.authority)
    assert await process.send(ledger, ledger.in_flight)
    content = await observed(process.authority)
    assert content == ledger.expected(len(ledger.items))
    await check_logs(store, content)
    await process.end()
    await store.close()
    with contextlib.closing(apsw.Connection(str(path))) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.timeout(sizes.of(120, 900))
async def test_nothing_acknowledged_is_lost_and_nothing_is_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)
    tally = await run(tmp_path, FILES)
    print(tally)  # noqa: T201 - the figures, for pytest -s
    assert not tally.bad, tally
    assert tally.cuts == FILES * CUTS_OF_A_FILE
    assert tally.acknowledged > tally.cuts
    # It was at work on everything that there is to be interrupted.
    assert tally.while_doing.keys() >= {"write wal", "sync wal", "write db", "sync db", "truncate db", "create wal"}


@pytest.mark.timeout(sizes.of(120, 300))
async def test_the_same_with_its_threads(tmp_path: Path) -> None:
    """A commit under way while the next commands come in, and a checkpoint of the WAL that nobody waits for."""
    tally = await run(tmp_path, FILES_WITH_THREADS)
    assert not tally.bad, tally
    assert tally.acknowledged > tally.cuts


# What it has to notice.


class HastyStore(SqliteStore):
    """Says that it has committed what it is about to commit."""

    async def commit(self, units: Sequence[Unit]) -> list[Outcome]:
        task = asyncio.create_task(super().commit(units))
        task.add_done_callback(lambda done: done.exception())
        return [Committed() for _ in units]


@pytest.mark.parametrize("mutant", ["synchronous=NORMAL", "synchronous=OFF", "sync does nothing", "answers too early"])
@pytest.mark.timeout(sizes.of(120, 300))
async def test_a_store_that_is_not_durable_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    without_threads(monkeypatch)
    if mutant.startswith("synchronous"):
        monkeypatch.setattr(connection, "_SYNCHRONOUS_FULL", {"synchronous=NORMAL": 1, "synchronous=OFF": 0}[mutant])
    kind = HastyStore if mutant == "answers too early" else SqliteStore
    tally = await run(tmp_path, FILES_OF_A_MUTANT, kind, deaf=mutant == "sync does nothing")
    print(f"{mutant}: {tally}")  # noqa: T201
    assert tally.lost
    assert len(tally.bad) > FILES_OF_A_MUTANT // 3
