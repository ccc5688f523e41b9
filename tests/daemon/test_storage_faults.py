"""Storage that is damaged, full or broken, under a real daemon."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from grpc import StatusCode
from tests.support.daemons import DaemonProcess
from tests.support.grpcurl import Grpcurl, into, of
from tests.support.sessions import RawSession, increment
from tests.support.waiting import until

import lastgood
from lastgood_daemon.process.serve import EXIT_STORAGE_FAILED

# Damage.


def damage(folder: Path, table: str, column: str, where: str) -> None:
    """Flip one bit in the middle of a value of the closed file, which SQLite itself does not notice."""
    connection = apsw.Connection(str(folder / "lastgood.db"))
    rows: list[Any] = connection.execute(f"SELECT rowid, {column} FROM {table} WHERE {where}").fetchall()  # noqa: S608
    ((row, value),) = rows
    flipped = bytearray(value)
    flipped[len(flipped) // 2] ^= 4
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(flipped), row))  # noqa: S608
    ((integrity,),) = connection.execute("PRAGMA integrity_check").fetchall()
    assert integrity == "ok"
    connection.close()


OF_BAD = "log = (SELECT number FROM logs WHERE state_id = 'bad') AND revision = 2"


@pytest.mark.parametrize(
    ("table", "column", "where"),
    [
        ("changes", "entry", OF_BAD),
        ("changes", "chain", OF_BAD),
        ("logs", "chain", "state_id = 'bad'"),
        ("records", "value", "kind = 'state' AND owner = 'bad'"),
        ("records", "checksum", "kind = 'state' AND owner = 'bad'"),
        ("records", "value", "kind = 'snapshot' AND owner = 'bad'"),
    ],
    ids=["entry", "chain", "head", "record", "checksum", "snapshot"],
)
async def test_a_damaged_state_is_refused_and_the_others_are_served(
    own_daemon: DaemonProcess, table: str, column: str, where: str
) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        for name in ("bad", "good"):
            for revision in (1, 2, 3):
                assert await client.state(name).set("a", "x" * 50 + str(revision)) == revision
            await client.state(name).snapshot("label")
        assert await asyncio.to_thread(own_daemon.stop) == 0
        damage(own_daemon.folder, table, column, where)
        await asyncio.to_thread(own_daemon.start)
        bad, good = client.state("bad"), client.state("good")
        for call in (bad.get, bad.to_dict, bad.get_history, bad.snapshot, bad.list_snapshots, bad.fork):
            with pytest.raises(lastgood.CorruptDataError, match=r"checksum|head") as failure:
                await call()
            assert failure.value.reason == "CORRUPT"
        with pytest.raises(lastgood.CorruptDataError):
            await bad.set("a", 1)
        assert await good.set("a", 4) == 4
        assert len(await good.get_history()) == 4
        assert (await client.checkpoints.create_checkpoint("w", 1, "a", lastgood.AgentStatus.COMPLETED, good)).step == 1
    unary = Grpcurl(own_daemon.address)
    assert (await unary.refused("State.Read", state=of("bad")))[:2] == (StatusCode.DATA_LOSS, "CORRUPT")
    assert (await unary.refused("State.Set", context=into("bad"), path="a", value={"json": "1"}))[1] == "CORRUPT"
    await unary.close()
    # It is no reason not to end in order, either.
    assert await asyncio.to_thread(own_daemon.stop) == 0


@pytest.mark.parametrize("column", ["value", "checksum"])
async def test_what_is_damaged_is_listed_and_nothing_else_is_hidden(own_daemon: DaemonProcess, column: str) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        for name in ("a good one", "bad", "one more"):
            async with client.workflow(name) as workflow, workflow.step(0):
                await workflow.state.set("a", 1)
        assert await asyncio.to_thread(own_daemon.stop) == 0
        for kind in ("state", "workflow"):
            damage(own_daemon.folder, "records", column, f"kind = '{kind}' AND owner = 'bad'")
        await asyncio.to_thread(own_daemon.start)
        assert await client.list_states() == ["a good one", "bad", "one more"]
        listed = await client.list_workflows()
        assert [(each.workflow_id, each.condition, each.damaged, each.next_step) for each in listed] == [
            ("a good one", "idle", False, 1),
            ("bad", "damaged", True, 0),
            ("one more", "idle", False, 1),
        ]
        for refused in (client.state("bad").get, client.workflow("bad").status, client.workflow("bad").try_resume):
            with pytest.raises(lastgood.CorruptDataError, match="'bad'"):
                await refused()
        assert await client.state("one more").get("a") == 1
        assert await client.workflow("one more").try_resume() is not None


@pytest.mark.parametrize("kind", ["checkpoint", "attempt", "effect"])
async def test_a_damaged_part_of_a_workflow_concerns_that_alone(own_daemon: DaemonProcess, kind: str) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        for name in ("bad", "good"):
            async with client.workflow(name) as workflow, workflow.step(0) as step:
                await step.once("mail", lambda: "sent")
                await workflow.state.set("a", 1)
        await client.state("apart").set("a", 1)
        assert await asyncio.to_thread(own_daemon.stop) == 0
        damage(own_daemon.folder, "records", "value", f"kind = '{kind}' AND owner = 'bad'")
        await asyncio.to_thread(own_daemon.start)
        for refused in (client.workflow("bad").try_resume, lambda: client.checkpoints.list_checkpoints("bad")):
            with pytest.raises(lastgood.CorruptDataError, match=f"{kind}.*'bad'.*checksum"):
                await refused()
        assert [each.workflow_id for each in await client.list_workflows()] == ["bad", "good"]
        assert await client.workflow("good").try_resume() is not None
        assert await client.state("apart").set("a", 2) == 2


async def test_a_damaged_session_is_begun_anew_and_the_others_go_on(own_daemon: DaemonProcess) -> None:
    async with RawSession(own_daemon.address) as bad, RawSession(own_daemon.address) as good:
        for session in (bad, good):
            assert (await session.call(increment(1, "s"))).WhichOneof("result") == "increment"
    assert await asyncio.to_thread(own_daemon.stop) == 0
    damage(own_daemon.folder, "records", "value", f"kind = 'session' AND owner = '{bad.session_id}'")
    await asyncio.to_thread(own_daemon.start)
    async with RawSession(own_daemon.address, bad.session_id) as session:
        assert session.session_id not in {"", bad.session_id}, "whether a repetition is one cannot be told any more"
        assert (await session.call(increment(1, "s"))).increment.header.revision == 3
    async with RawSession(own_daemon.address, good.session_id) as session:
        assert session.session_id == good.session_id
        assert (await session.call(increment(1, "s"))).increment.header.revision == 2, "the answer of the first time"


# No room.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


async def test_a_full_disk_refuses_writes_keeps_reads_and_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    daemon = DaemonProcess(small_disk / "data", forked=True)
    daemon.log = tmp_path / "log"
    ballast = small_disk / "ballast"
    try:
        await asyncio.to_thread(daemon.start)
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
            state = client.state("s")
            acknowledged = [await state.append("l", number) for number in range(10)]
            fill(ballast)

            async def append_on() -> None:
                for _ in range(1000):
                    acknowledged.append(await state.append("l", len(acknowledged)))

            with pytest.raises(lastgood.OverloadedError, match="disk is full") as failure:
                await append_on()
            assert failure.value.reason == "OVERLOADED"
            for call in (state.snapshot, state.fork, lambda: client.delete_state("s"), lambda: state.set("b", "x" * 5000)):
                with pytest.raises(lastgood.OverloadedError):
                    await call()
            with pytest.raises(lastgood.OverloadedError, match="no room for a backup"):
                await client.backup(small_disk / "backup")
            assert sorted(each.name for each in small_disk.iterdir()) == ["ballast", "data"], "nothing is left of it"
            assert (await client.backup(tmp_path / "backup")).size > 4096, "where there is room"
            assert await state.get("l") == list(range(len(acknowledged)))
            assert len(await state.get_history("l")) == len(acknowledged) == acknowledged[-1]
            assert (await client.server_info()).data_dir == str(daemon.folder)
            ballast.unlink()
            assert await state.append("l", len(acknowledged)) == len(acknowledged) + 1
            assert await asyncio.to_thread(daemon.stop) == 0
            await asyncio.to_thread(daemon.start)
            assert await state.get("l") == list(range(len(acknowledged) + 1))
    finally:
        daemon.close()


async def test_a_daemon_ends_in_order_while_its_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    """The WAL cannot be brought into the file for want of room: it stays behind, and nothing is lost."""
    daemon = DaemonProcess(small_disk / "data", forked=True)
    daemon.log = tmp_path / "log"
    ballast = small_disk / "ballast"
    try:
        await asyncio.to_thread(daemon.start)
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
            state = client.state("s")
            values = [os.urandom(100_000) for _ in range(4)]
            for value in values:
                await state.append("l", value)
            fill(ballast)
            assert await asyncio.to_thread(daemon.stop) == 0
            assert (daemon.folder / "lastgood.db-wal").stat().st_size > 0
            ballast.unlink()
            await asyncio.to_thread(daemon.start)
            assert await state.get("l") == values
            assert await state.append("l", 0) == len(values) + 1
            assert await asyncio.to_thread(daemon.stop) == 0
            assert not (daemon.folder / "lastgood.db-wal").exists()
    finally:
        daemon.close()


async def test_a_daemon_that_has_no_room_to_start_says_so_and_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    daemon = DaemonProcess(small_disk / "data", forked=True)
    daemon.log = tmp_path / "log"
    ballast = small_disk / "ballast"
    try:
        await asyncio.to_thread(daemon.start)
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
            await client.state("s").set("a", 1)
        assert await asyncio.to_thread(daemon.stop) == 0
        fill(ballast)
        daemon.log = tmp_path / "log of the full disk"
        daemon.spawn()
        assert await asyncio.to_thread(daemon.wait) == EXIT_STORAGE_FAILED
        (said,) = daemon.said()
        wanted = f"there is no room left on the disk of {daemon.folder} to start a daemon. Free some space there, and"
        assert str(said["error"]).startswith(wanted)
        ballast.unlink()
        await asyncio.to_thread(daemon.start)
        async with lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
            assert await client.state("s").get("a") == 1
    finally:
        daemon.close()


async def test_a_client_says_that_there_is_no_room_to_start_a_daemon(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with pytest.raises(lastgood.DaemonUnavailableError) as failure:
        await lastgood.connect(data_dir=small_disk / "data", timeout=20.0)
    assert re.search(r"did not start \(exit status 74\): .*/data: there is no room left on its disk", str(failure.value))


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        size = 64 * 1024
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


# An I/O error.


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace, which injects the error, is not installed")
async def test_a_failed_fsync_ends_the_daemon_and_a_restart_recovers(tmp_path: Path) -> None:
    inject = ("strace", "-f", "-qqq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=10+")
    broken = DaemonProcess(tmp_path / "data", wrapper=inject)
    whole = DaemonProcess(tmp_path / "data", forked=True)
    whole.log = tmp_path / "whole.log"
    acknowledged: list[float] = []
    unknown = 0

    async def write(client: lastgood.Client) -> None:
        nonlocal unknown
        while True:
            try:
                acknowledged.append(await client.state("s").increment("n"))
            except lastgood.OutcomeUnknownError:
                unknown += 1
                return
            except lastgood.DaemonUnavailableError:
                return

    try:
        assert whole.start().stop() == 0  # making the file takes more fsyncs than that
        try:
            await asyncio.to_thread(broken.start)
        except AssertionError:
            if "ptrace" in broken.log.read_text():
                pytest.skip("strace may not trace here")
            raise
        async with lastgood.connect(data_dir=broken.folder, autostart=False, timeout=10.0) as client:
            writers = [asyncio.create_task(write(client)) for _ in range(8)]
            await until(lambda: broken.process.poll() is not None)
            assert broken.wait() == EXIT_STORAGE_FAILED == 74
            await until(lambda: unknown)
            await asyncio.to_thread(whole.start)
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
            # What was acknowledged is there; of what was in flight, some may be.
            assert await client.state("s").get("n") >= max(acknowledged)
            assert await client.state("s").increment("n") > max(acknowledged)
        told = [line for line in broken.said() if line["level"] == "error"]
        assert "start the daemon again" in str(told[-1]["event"])
        assert sorted(acknowledged) == sorted(set(acknowledged))
    finally:
        if broken.process.poll() is None:  # its wrapper dies without it
            os.kill(int(str(broken.endpoint["pid"])), 9)
        broken.close()
        whole.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace, which injects the error, is not installed")
def test_a_start_that_cannot_read_says_so_and_ends_as_when_the_storage_fails(own_daemon: DaemonProcess) -> None:
    own_daemon.stop()
    database = own_daemon.folder / "lastgood.db"
    before = database.read_bytes()
    inject = ("strace", "-f", "-qqq", "-o", "/dev/null", "-P", str(database), "-e", "inject=pread64:error=EIO:when=2+")
    broken = DaemonProcess(own_daemon.folder, wrapper=inject)
    broken.log = own_daemon.folder.with_name("broken.log")
    try:
        broken.spawn()
        status = broken.wait()
        if "ptrace" in broken.log.read_text():
            pytest.skip("strace may not trace here")
        assert status == EXIT_STORAGE_FAILED
        (said,) = broken.said()
        assert said["event"] == "cannot start"
        assert re.match(rf"{database} cannot be opened: .*EIO.*See what is wrong with its disk", str(said["error"]))
    finally:
        broken.close()
    assert database.read_bytes() == before
