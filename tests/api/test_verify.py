"""Verification: it finds what was done to a file, names it, goes on with the rest; and finds nothing in a sound one."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from tests.cli.running import Command
from tests.daemon.test_storage_faults import OF_BAD, damage
from tests.support.daemons import DaemonProcess
from tests.support.waiting import until

import lastgood
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import Snapshot
from lastgood_daemon.process.verify import main as verify_offline
from lastgood_daemon.store.protocol import Committed, RecordKey, RecordWrite, Unit
from lastgood_daemon.store.sqlite import SqliteStore


async def fill(client: lastgood.Client) -> None:
    """Have a little of everything, twice: of ``bad`` something will be damaged, and never of ``good``."""
    for name in ("bad", "good"):
        state = client.state(name)
        for revision in (1, 2, 3):
            assert await state.set("a", f"text of {name} " * 5 + str(revision)) == revision
        await state.snapshot("label")
        async with client.workflow(name) as workflow:
            async with workflow.step(0) as step:
                await workflow.state.set("step", 0)
                await step.once("mail", lambda: "sent")
            async with workflow.step(1):
                await workflow.state.set("step", 1)
    await client.delete_state("of old")
    await client.state("of old").set("a", 1)
    await client.delete_state("of old")
    await client.state("of old").set("a", 2)
    await client.state("bad").fork("fork")


def run(statement: str) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        with contextlib.closing(apsw.Connection(str(folder / "lastgood.db"))) as connection:
            connection.execute(statement)
            assert connection.total_changes()

    return tamper


def without(table: str, where: str) -> Callable[[Path], None]:
    return run(f"DELETE FROM {table} WHERE {where}")  # noqa: S608


def change(table: str, what: str, where: str) -> Callable[[Path], None]:
    return run(f"UPDATE {table} SET {what} WHERE {where}")  # noqa: S608


def flip(table: str, column: str, where: str) -> Callable[[Path], None]:
    return lambda folder: damage(folder, table, column, where)


def rewrite(key: RecordKey, kind: type[Any], **changes: object) -> Callable[[Path], None]:
    """Write a record anew, as a fault of the daemon would: it matches its checksum."""

    async def write(folder: Path) -> None:
        store = SqliteStore.open(folder / "lastgood.db")
        (record,) = [each for each in await store.records(key.kind, key.owner) if key.key in each.key.key]
        found = msgspec.structs.replace(msgspec.msgpack.decode(record.value, type=kind), **changes)
        unit = Unit(writes=[RecordWrite(record.key, msgspec.msgpack.encode(found), record.version)])
        assert await store.commit([unit]) == [Committed()]
        await store.close()

    return lambda folder: asyncio.run(write(folder))


def of(kind: str, more: str = "") -> str:
    return f"kind = '{kind}' AND owner = 'bad' {more}"


LOG = "log = (SELECT number FROM logs WHERE state_id = 'bad')"
STATE = "state 'bad'"
RECORD = "the record of state 'bad'"
CHECKSUM = "does not match its checksum"

PLANTED = {
    "entry": (flip("changes", "entry", OF_BAD), [(STATE, "revision 2 " + CHECKSUM)]),
    "chain": (flip("changes", "chain", OF_BAD), [(STATE, "revision 2 " + CHECKSUM)]),
    "two entries": (
        change("changes", "entry = x'00'", f"{LOG} AND revision > 1"),
        [(STATE, "revision 2 " + CHECKSUM)],
    ),
    "gap": (without("changes", f"{LOG} AND revision = 2"), [(STATE, "revision 3 " + CHECKSUM)]),
    "tail": (without("changes", f"{LOG} AND revision = 5"), [(STATE, "ends at revision 4, its head says 5")]),
    "chain of the head": (
        flip("logs", "chain", "state_id = 'bad'"),
        [(STATE, "the head of its log " + CHECKSUM)],
    ),
    "head too low": (
        run(
            "UPDATE logs SET head = 4, chain = (SELECT chain FROM changes WHERE log = number AND revision = 4)"
            " WHERE state_id = 'bad'"
        ),
        [(STATE, "the head of its log " + CHECKSUM)],
    ),
    "state": (flip("records", "value", of("state")), [(RECORD, CHECKSUM)]),
    "no state": (without("records", of("state")), [(STATE, "has a log, but no record")]),
    "no log": (
        without("logs", "state_id = 'bad'"),
        [
            ("the storage", "there are revisions of log number 1, and no such log"),
            (RECORD, "says that the state has been written, and there is no log of it"),
            ("snapshot '", "refers to revision 3 of state 'bad', which has come to 0"),
            ("the checkpoint of step 0 in attempt 1 at workflow 'bad'", "refers to revision 4 of state 'bad'"),
        ],
    ),
    "snapshot": (flip("records", "value", of("snapshot")), [("snapshot '", CHECKSUM)]),
    "snapshot of the future": (
        rewrite(RecordKey("snapshot", "bad", ""), Snapshot, revision=99),
        [("snapshot '", "refers to revision 99 of state 'bad', which has come to 5")],
    ),
    "checkpoint": (
        flip("records", "checksum", of("checkpoint", "AND key LIKE '%1/%1'")),
        [("the checkpoint of step 1 in attempt 1 at workflow 'bad'", CHECKSUM)],
    ),
    "checkpoint of the future": (
        rewrite(RecordKey("checkpoint", "bad", "0/00000000000000000001"), Checkpoint, point=Point("bad", 1, 6)),
        [
            (
                "the checkpoint of step 0 in attempt 1 at workflow 'bad'",
                "refers to revision 6 of state 'bad', which has come to 5",
            )
        ],
    ),
    "workflow": (flip("records", "value", of("workflow")), [("the record of workflow 'bad'", CHECKSUM)]),
    "no workflow": (
        without("records", of("workflow")),
        [
            ("attempt 1 at workflow 'bad'", "belongs to a workflow that has no record"),
            ("effect 'mail' of step 0 of workflow 'bad'", "belongs to a workflow that has no record"),
            ("the checkpoint of step 0 in attempt 1 at workflow 'bad'", "belongs to a workflow that has no record"),
        ],
    ),
    "attempt": (flip("records", "value", of("attempt")), [("attempt 1 at workflow 'bad'", CHECKSUM)]),
    "effect": (flip("records", "value", of("effect")), [("effect 'mail' of step 0 of workflow 'bad'", CHECKSUM)]),
    "session": (flip("records", "value", "kind = 'session'"), [("the record of session '", CHECKSUM)]),
    "another kind": (
        change("records", "kind = 'stste'", of("state")),
        [(STATE, "no record"), ("records of kind 'stste'", "none")],
    ),
    "time": (
        change("records", "updated_at = updated_at + 1", of("workflow")),
        [("the record of workflow 'bad'", CHECKSUM)],
    ),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a little of everything, whose daemon has ended."""
    daemon = DaemonProcess(tmp_path_factory.mktemp("filled") / "data", forked=True).start()

    async def work() -> None:
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
            await fill(client)
            assert (await client.verify()).ok

    asyncio.run(work())
    assert daemon.stop() == 0
    return daemon.folder


@pytest.mark.parametrize("what", PLANTED)
async def test_damage_is_found_and_named(
    filled: Path, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant, expected = PLANTED[what]
    folder = Path(shutil.copytree(filled, tmp_path / "data"))
    await asyncio.to_thread(plant, folder)

    assert await asyncio.to_thread(verify_offline, ["--data-dir", str(folder), "--json"]) == 1
    offline = msgspec.json.decode(capsys.readouterr().out)
    as_expected([(each["where"], each["what"]) for each in offline["problems"]], expected)
    assert (offline["states"], offline["revisions"] > 5) == (3 if what == "no log" else 4, True), (
        "it goes on with the others"
    )

    daemon = DaemonProcess(folder, forked=True)
    try:
        await asyncio.to_thread(daemon.start)
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            online = await client.verify()
            as_expected([(each.where, each.what) for each in online.problems], expected)
            assert (online.ok, online.states) == (False, offline["states"])
            assert await client.state("good").get("step") == 1
    finally:
        daemon.close()


def as_expected(found: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    assert len(found) == len(expected), found
    for (where, what), (begins, says) in zip(found, expected, strict=True):
        assert where.startswith(begins), found
        assert says in what, found


@pytest.mark.slow
async def test_a_sound_store_has_no_problems(client: lastgood.Client) -> None:
    """Whatever the other tests have left in it."""
    assert (await client.verify()).ok


async def test_it_counts_what_it_has_looked_at(own_daemon: DaemonProcess, state_id: str) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        before = await client.verify()
        await client.state(state_id).set("a", 1)
        await client.state(state_id).set("a", 2)
        await client.state(state_id).snapshot()
        after = await client.verify()
    assert (before.ok, after.ok) == (True, True)
    assert (after.states, after.revisions) == (before.states + 1, before.revisions + 2)
    assert after.records >= before.records + 2


@pytest.mark.slow
async def test_while_everything_changes_there_are_no_problems(own_daemon: DaemonProcess) -> None:
    rounds = 0

    async def change(client: lastgood.Client, name: str) -> None:
        nonlocal rounds
        while True:
            state = client.state(name)
            for number in range(5):
                await state.set("n", number)
                await state.snapshot()
            await client.checkpoints.create_checkpoint(name, 1, "a", lastgood.AgentStatus.COMPLETED, state)
            await client.delete_state(name)
            rounds += 1

    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        changing = [asyncio.create_task(change(client, f"s{number}")) for number in range(6)]
        await until(lambda: rounds > 6)
        seen = rounds
        for _ in range(30):
            assert (await client.verify()).problems == ()
        assert rounds > seen
        for each in changing:
            each.cancel()
        await asyncio.gather(*changing, return_exceptions=True)


@pytest.mark.slow
async def test_a_store_of_many_states_takes_several_pages(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await asyncio.gather(*(client.state(f"s:{number}").set("n", number) for number in range(2000)))
        found = await client.verify()
        assert (found.ok, found.states, found.revisions) == (True, 2000, 2000)


# A file that SQLite itself cannot read.


def no_database(folder: Path) -> None:
    with (folder / "lastgood.db").open("r+b") as file:
        file.write(b"no database")


def malformed(folder: Path) -> None:
    """Overwrite the beginning of the page (a leaf, which begins with 13) that the revisions of a state lie on."""
    content = (folder / "lastgood.db").read_bytes()
    pages = range(0, len(content), 4096)
    at = next(at for at in pages if content[at] == 13 and b"text of bad text of bad" in content[at : at + 4096])
    with (folder / "lastgood.db").open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 16)


def emptied(folder: Path) -> None:
    (folder / "lastgood.db").write_bytes(b"")


@pytest.mark.parametrize("ruin", [no_database, malformed, emptied])
async def test_a_file_that_is_ruined(own_daemon: DaemonProcess, ruin: Callable[[Path], None]) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await fill(client)
    assert await asyncio.to_thread(own_daemon.stop) == 0
    ruin(own_daemon.folder)
    done = await asyncio.to_thread(Command(own_daemon.folder).here, "verify")
    assert (done.status, done.err) == (1, ""), done
    assert "damaged" in done.out
    assert "Traceback" not in done.out
    assert "the storage: " in done.out


async def test_a_daemon_that_comes_upon_a_ruined_page_while_it_verifies_goes_on(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await fill(client)
        for name in ("ballast", "later"):  # which is not on the same page
            await asyncio.gather(*(client.state(name).append("l", "x" * 500) for _ in range(50)))
        assert await asyncio.to_thread(own_daemon.stop) == 0
        malformed(own_daemon.folder)
        await asyncio.to_thread(own_daemon.start)
        found = await client.verify()
        assert not found.ok
        assert any(problem.where == "the storage" for problem in found.problems)
        assert own_daemon.process.poll() is None
        assert await client.state("later").append("l", "y") == 51


# A folder without a daemon.


async def test_a_folder_without_a_daemon_stays_as_it_is(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await fill(client)
        expected = await client.verify()
    own_daemon.kill()  # what it has written last is in the WAL
    files = {path: path.read_bytes() for path in own_daemon.folder.glob("lastgood.db*") if path.suffix != ".db-shm"}
    assert len(files[own_daemon.folder / "lastgood.db-wal"]) > 4096
    document = await asyncio.to_thread(Command(own_daemon.folder).json, "verify")
    assert (document["ok"], document["states"], document["revisions"]) == (True, expected.states, expected.revisions)
    assert {path: path.read_bytes() for path in files} == files
    await asyncio.to_thread(own_daemon.start)
