"""Power cuts, thousands of them, at any call that SQLite makes to change its files, under a real store and authority.

A seed is one file with twenty cuts, one after the other, from its making on. After each cut a new process opens what is
left. It must find all that was acknowledged, in order, and of the rest each group whole or not at all; must give the same
answer as before when it is asked the last command once more; and is sent again what was in flight. At the end the file is
closed, opened without any of this, and held against its checksums.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

import apsw
import pytest
from tests.chaos import sizes
from tests.chaos.inline import without_threads
from tests.chaos.ledger import Content, Ledger, Process, WrongError, check_logs, observed
from tests.chaos.powercut import Disk

from lastgood_daemon.authority import replay
from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.questions import read
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.point import Point
from lastgood_daemon.store.protocol import Committed, CorruptRecordError, Outcome, StoreBrokenError, Unit
from lastgood_daemon.store.sqlite import SqliteStore, StoreOpenError, connection, reading
from lastgood_daemon.store.sqlite import store as module

pytestmark = pytest.mark.slow

CUTS_OF_A_FILE = 20
FILES = sizes.of(100, 1000)
FILES_WITH_THREADS = sizes.of(5, 100)
FILES_OF_A_MUTANT = sizes.of(10, 200)
FLIPS = sizes.of(40, 1000)
CALLS = 90
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
        try:
            with forgetful(place, random) as disk:
                disk.deaf = deaf
                for _ in range(CUTS_OF_A_FILE):
                    await one_process(kind, disk, ledger, tally)
            await check_file(place / "lastgood.db", ledger)
        except WrongError as wrong:
            if wrong.lost:
                tally.lost[seed] = wrong.lost
            else:
                tally.torn[seed] = str(wrong)
        except (StoreBrokenError, StoreOpenError, CorruptRecordError) as error:
            tally.unusable[seed] = str(error)
        tally.acknowledged += ledger.acknowledged
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
    is_cut_soon = not disk.names and random.random() < 0.3  # the making of a file, more often than chance would
    disk.cut_at = random.randrange(1, 20 if is_cut_soon else CALLS)
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
    ledger.more(random.randrange(3, 8))
    await process.send(ledger, ledger.in_flight, at_once=random.choice((1, 3, 5)))


async def check_file(path: Path, ledger: Ledger) -> None:
    """See that a file is right down to its checksums, on the real disk."""
    store = SqliteStore.open(path)
    process = Process(store)
    await ledger.check(process.authority)
    await process.send(ledger, ledger.in_flight)
    problem = await process.end()
    if problem is None:
        await ledger.check(process.authority)
        await check_logs(store, await observed(process.authority))
    await store.close()
    if problem is not None:
        raise problem
    with contextlib.closing(apsw.Connection(str(path))) as file:
        integrity = file.execute("PRAGMA integrity_check").fetchall()
    if integrity != [("ok",)]:
        raise WrongError(0, f"SQLite says {integrity}")


async def test_nothing_acknowledged_is_lost_and_nothing_is_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)
    tally = await run(tmp_path, FILES)
    print(tally)  # noqa: T201 - the figures, for pytest -s
    assert not tally.bad, tally
    assert tally.cuts == FILES * CUTS_OF_A_FILE
    assert tally.acknowledged > tally.cuts
    # It was at work on everything that there is to be interrupted.
    assert tally.while_doing.keys() >= {"write wal", "sync wal", "write db", "sync db", "truncate db", "create wal"}


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
async def test_a_store_that_is_not_durable_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    without_threads(monkeypatch)
    if mutant.startswith("synchronous"):
        monkeypatch.setattr(connection, "_SYNCHRONOUS_FULL", {"synchronous=NORMAL": 1, "synchronous=OFF": 0}[mutant])
    kind = HastyStore if mutant == "answers too early" else SqliteStore
    tally = await run(tmp_path, FILES_OF_A_MUTANT, kind, deaf=mutant == "sync does nothing")
    print(f"{mutant}: {tally}")  # noqa: T201
    # The mark beside the database is not on this disk: by it the next start may notice itself that something is lost.
    noticed = ("lacks writes that were acknowledged", "tells that it held a store")
    assert tally.lost or any(words in said for words in noticed for said in tally.unusable.values())
    assert len(tally.bad) > FILES_OF_A_MUTANT // 3


# What the disk says is durable and is not what was written. SQLite has no checksum for that; the log has a chain.


async def test_a_value_that_a_disk_has_changed_is_refused_and_never_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_threads(monkeypatch)
    flips, wrong = await flip(tmp_path)
    assert flips == FLIPS
    assert not wrong


async def test_a_log_that_is_not_verified_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)
    monkeypatch.setattr(replay, "chain", lambda *_: Anything())
    monkeypatch.setattr(reading, "record_checksum", lambda *_: Anything())
    flips, wrong = await flip(tmp_path)
    print(f"without checksums: {len(wrong)} wrong values of {flips}")  # noqa: T201
    assert wrong


class Anything:
    """Equal to everything."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


async def flip(folder: Path) -> tuple[int, list[str]]:
    """Flip a bit of a value in a file that cuts have been through, again and again; the times that it was served."""
    random = Random(2)
    ledger, tally = Ledger(random), Tally()
    path = folder / "lastgood.db"
    with forgetful(folder, random) as disk:
        for _ in range(CUTS_OF_A_FILE):
            await one_process(SqliteStore, disk, ledger, tally)
    ledger.more(40)
    await check_file(path, ledger)
    whole = path.read_bytes()
    values = [value for value in stored_values(ledger) if whole.count(value.payload) == 1]
    assert len(values) > 3
    wrong = []
    for number in range(FLIPS):
        value = random.choice(values)
        damaged = bytearray(whole)
        damaged[whole.index(value.payload) + random.randrange(len(value.payload))] ^= 1 << random.randrange(8)
        path.write_bytes(damaged)
        found = await served(path, value)
        if found not in {None, value.payload}:
            wrong.append(f"{number}: {value.point}")
    return FLIPS, wrong


class StoredValue(NamedTuple):
    """A value of a revision, in bytes that lie in the file one after the other."""

    point: Point
    payload: bytes


def stored_values(ledger: Ledger) -> list[StoredValue]:
    """Give the values of the living states."""
    found = []
    content = Content()
    for item in ledger.items:
        item.effect(content)
        if item.payload:
            life = content.states[item.state]
            found.append(StoredValue(Point(item.state, life.incarnation, life.revision), item.payload))
    return [value for value in found if content.states[value.point.state_id].incarnation == value.point.incarnation]


async def served(path: Path, value: StoredValue) -> object:
    """Ask for a value; None: it is refused."""
    ref = StateRef(value.point.state_id, value.point.incarnation)
    store = SqliteStore.open(path)
    authority = Authority(store)
    try:
        seen = await authority.ask(lambda reader: read(reader, ref, ("payload",), value.point))
    except CorruptRecordError:
        return None
    finally:
        await store.close()
    return seen.node and seen.node.value()
