"""Backups: whole, of one moment, made while everybody works on, and served like any other folder."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.grpcurl import Grpcurl, into
from tests.support.sessions import RawSession, increment
from tests.support.waiting import until

import lastgood

WRITERS = 8


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[lastgood.Client]:
    """A client of a daemon on a folder."""
    daemon = DaemonProcess(folder, forked=True)
    daemon.log = folder.with_name(f"{folder.name}.log")
    try:
        await asyncio.to_thread(daemon.start)
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
            yield client
        assert await asyncio.to_thread(daemon.stop) == 0
    finally:
        daemon.close()


async def test_a_backup_holds_what_was_acknowledged_before_it_and_is_served_like_any_folder(
    client: lastgood.Client, state: lastgood.SharedState, tmp_path: Path
) -> None:
    await state.set("a", {"b": [1, b"two", 3.5]})
    snapshot = await state.snapshot("label")
    await state.set("a", "garbage")
    async with client.workflow(state.state_id) as workflow, workflow.step(0):
        await workflow.state.set("of the workflow", 1)

    made = await client.backup(tmp_path / "backup")
    await state.set("a", "later")

    assert made == lastgood.Backup(path=str(tmp_path / "backup"), size=(tmp_path / "backup" / "lastgood.db").stat().st_size)
    assert [each.name for each in (tmp_path / "backup").iterdir()] == ["lastgood.db"]
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "backup", tmp_path / "backup" / "lastgood.db")]
    assert modes == [0o700, 0o600]
    async with served(tmp_path / "backup") as restored:
        copy = restored.state(state.state_id)
        assert await copy.get("a") == "garbage"
        assert [each.label for each in await copy.list_snapshots()] == ["label"]
        assert (await restored.checkpoints.get_last_good_checkpoint(state.state_id)) is not None
        await copy.restore(snapshot)
        assert await copy.get("a") == {"b": [1, b"two", 3.5]}
        assert (await restored.verify()).problems == ()
    assert await state.get("a") == "later"


async def test_a_backup_under_writers_is_of_one_moment(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    acknowledged = [0] * WRITERS
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await client.state("ballast").set("x", os.urandom(8_000_000))  # so that it takes many steps

        async def write(writer: int) -> None:
            state = client.state(f"s{writer}")
            while True:
                # Both in one revision, and the same in both states of a pair: a torn copy would show.
                acknowledged[writer] = await state.update({"n": acknowledged[writer] + 1, "text": os.urandom(500)})

        writers = [asyncio.create_task(write(writer)) for writer in range(WRITERS)]
        await until(lambda: min(acknowledged) > 20)
        before = list(acknowledged)
        await client.backup(tmp_path / "backup")
        after = list(acknowledged)
        await until(lambda: min(acknowledged) > max(after))
        for each in writers:
            each.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    assert all(then < now for then, now in zip(before, after, strict=True)), "they went on meanwhile"
    async with served(tmp_path / "backup") as restored:
        found = await restored.verify()
        assert (found.ok, found.problems) == (True, ())
        assert found.states == WRITERS + 1
        for writer in range(WRITERS):
            state = restored.state(f"s{writer}")
            revision = await state.revision()
            assert before[writer] <= revision <= after[writer] + 1
            assert await state.get("n") == revision
            assert [entry.revision for entry in await state.get_history("n")] == list(range(1, revision + 1))


async def test_an_empty_folder_may_be_there(client: lastgood.Client, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o755)
    assert (await client.backup(str(tmp_path / "empty"))).path == str(tmp_path / "empty")
    assert stat.S_IMODE((tmp_path / "empty").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("taken", "exists already"),
        ("file", "exists already"),
        ("taken/inside", "exists already"),
        ("missing/backup", "there is no folder"),
        ("file/backup", "there is no folder"),
        ("n" * 255, "too long"),
    ],
)
async def test_a_place_where_it_cannot_be(client: lastgood.Client, tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    (tmp_path / "taken" / "inside" / "of somebody").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(lastgood.InvalidArgumentError, match=why) as failure:
        await client.backup(tmp_path / name)
    assert failure.value.field == "path"
    assert sorted(tmp_path.rglob("*")) == before


async def test_not_in_the_data_folder_itself(client: lastgood.Client, daemon: DaemonProcess, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(daemon.folder)
    for folder in (daemon.folder, daemon.folder / "backup", tmp_path / "link" / "backup"):
        with pytest.raises(lastgood.InvalidArgumentError, match=r"in the data folder|exists already"):
            await client.backup(folder)
    assert not (daemon.folder / "backup").exists()


@pytest.mark.parametrize("path", ["", 7, None])
async def test_no_path(client: lastgood.Client, path: object) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="path"):
        await client.backup(path)  # type: ignore[arg-type]


async def test_relative_is_to_the_folder_of_the_caller(
    client: lastgood.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (await client.backup("here")).path == str(tmp_path / "here")


# Who it is.


async def test_to_the_outside_world_it_is_the_same_store(client: lastgood.Client, state_id: str, tmp_path: Path) -> None:
    async def key(of: lastgood.Client) -> str:
        async with of.workflow(state_id) as workflow, workflow.step(0) as step:
            return step.idempotency_key("mail")

    await client.backup(tmp_path / "backup")
    async with served(tmp_path / "backup") as restored:
        # What is about to be done in both must look like a repetition to whoever is asked to do it.
        assert await key(restored) == await key(client)
        assert (await restored.server_info()).daemon_id == (await client.server_info()).daemon_id


async def test_a_session_of_the_store_is_none_of_its_backup(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    # What was sent on it and is unanswered may have been done there, and be missing here.
    async with RawSession(own_daemon.address) as silent, RawSession(own_daemon.address) as session:
        assert (await session.call(increment(1, "s"))).increment.header.revision == 1
        async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
            await client.backup(tmp_path / "backup")
            await client.backup(tmp_path / "another")
        for folder in ("backup", "another"):
            async with served(tmp_path / folder) as restored:
                address = (await restored.server_info()).address
                for known in (silent, session):
                    async with RawSession(address, known.session_id) as again:
                        assert again.session_id not in {"", known.session_id}
                        async with RawSession(address, again.session_id) as kept:
                            assert kept.session_id == again.session_id, "its own ones it knows"
        async with RawSession(own_daemon.address, session.session_id) as still:
            assert still.session_id == session.session_id


async def test_an_idempotency_key_of_a_unary_call_stays_one(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    async def count(address: str) -> tuple[str, int]:
        unary = Grpcurl(address)
        context = into("s") | {"idempotency_key": "once"}
        answer = await unary("State.Increment", context=context, path="n", by={"json": "1"})
        await unary.close()
        return str(answer.value), answer.header.revision

    first = await count(own_daemon.address)
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await client.backup(tmp_path / "backup")
    async with served(tmp_path / "backup") as restored:
        assert await count((await restored.server_info()).address) == first
        assert await restored.state("s").get("n") == 1


# What goes wrong while it is made.


@pytest.mark.slow
async def test_a_kill_leaves_no_half_backup(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    target = tmp_path / "backups" / "backup"
    target.parent.mkdir()
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        for number in range(4):
            await client.state("s").set(f"x{number}", os.urandom(15_000_000))
        making = asyncio.create_task(client.backup(target, timeout=20.0))
        await until(lambda: any(each.stat().st_size > 1_000_000 for each in target.parent.glob(".backup.*/lastgood.db")))
        own_daemon.kill()
        assert not target.exists(), "it was done before the kill, which should have come while it was made"
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
    await asyncio.to_thread(own_daemon.start)
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await client.backup(target)
        assert (await client.verify()).ok
    assert (target / "lastgood.db").stat().st_size > 60_000_000


@pytest.mark.slow
async def test_the_end_of_the_daemon_ends_it_and_leaves_nothing(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    target = tmp_path / "backups" / "backup"
    target.parent.mkdir()
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        for number in range(4):
            await client.state("s").set(f"x{number}", os.urandom(15_000_000))
        making = asyncio.create_task(client.backup(target, timeout=20.0))
        await until(lambda: list(target.parent.iterdir()))
        making.cancel()
        assert await asyncio.to_thread(own_daemon.stop) == 0
        await asyncio.gather(making, return_exceptions=True)
    assert [each.name for each in target.parent.iterdir()] in ([], ["backup"])
    assert (own_daemon.folder / "lastgood.db-wal").exists() is False
