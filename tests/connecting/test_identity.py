"""Who answers is who was meant: copied folders, addresses left behind, and stores that were replaced under their clients."""

import asyncio
import os
import pickle
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from grpc import StatusCode, aio
from tests.support.daemons import DaemonProcess, end_autostarted
from tests.support.grpcurl import Grpcurl, into
from tests.support.waiting import until

import lastgood
from lastgood_daemon.process.endpoint import Endpoint, read_endpoint
from lastgood_proto import proof
from lastgood_proto.v1 import process_pb2, process_pb2_grpc


def copied(folder: Path, to: Path) -> Path:
    """Copy a folder as ``cp -r`` does; nothing can be copied of a socket."""
    shutil.copytree(folder, to, ignore=lambda _, names: [name for name in names if name.endswith(".sock")])
    return to


# Which daemon.


async def test_a_client_of_a_copied_folder_leaves_the_original_alone(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False) as client:
        await client.state("s").set("a", "original")
        copy = copied(own_daemon.folder, tmp_path / "copy")
        assert (copy / "endpoint.json").exists()
        try:
            async with lastgood.connect(data_dir=copy, timeout=20.0) as other:
                assert (await other.server_info()).data_dir == str(copy)
                await other.state("s").set("a", "copy")
            assert await client.state("s").get("a") == "original"
        finally:
            end_autostarted(copy)


@contextmanager
def listening(port: int, heard: list[bytes]) -> Iterator[None]:
    """Be somebody else who has that port now, and answers nothing."""

    def hear() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(ConnectionError):
                while data := connection.recv(65536):
                    heard.append(data)

    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=hear)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
async def test_a_port_that_is_somebody_elses_by_now_gets_nothing(tmp_path: Path) -> None:
    folder, port, heard = tmp_path / "data", free_port(), list[bytes]()
    daemon = DaemonProcess(folder, "--address", f"127.0.0.1:{port}", forked=True).start()
    await asyncio.to_thread(daemon.kill)
    try:
        with listening(port, heard):
            async with lastgood.connect(data_dir=folder, token="the secret token", timeout=30.0) as client:  # noqa: S106
                await client.state("s").set("a", "the secret value")
                assert (await client.server_info()).address.startswith("unix:")
        assert heard
        assert b"secret" not in b"".join(heard)
    finally:
        end_autostarted(folder)


async def test_another_daemon_at_an_address_left_behind_is_not_taken_for_the_folders(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    daemon = DaemonProcess(folder, "--address", f"127.0.0.1:{port}", forked=True).start()
    await asyncio.to_thread(daemon.kill)
    other = DaemonProcess(tmp_path / "other", "--address", f"127.0.0.1:{port}", forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, timeout=30.0) as client:
            await client.state("s").set("a", 1)
        async with lastgood.connect(f"127.0.0.1:{port}") as client:
            assert await client.list_states() == []
    finally:
        other.close()
        end_autostarted(folder)


async def test_a_second_daemon_does_not_take_a_socket_over(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/the.sock"
    first = DaemonProcess(tmp_path / "one", "--address", address, forked=True).start()
    second = DaemonProcess(tmp_path / "two", "--address", address, forked=True)
    try:
        async with lastgood.connect(address) as client:
            await client.state("s").set("a", 1)
            second.spawn()
            assert await asyncio.to_thread(second.wait) == 1
            assert "another process listens" in second.log.read_text()
            assert not (second.folder / "lastgood.db").exists()
            await client.state("s").set("a", 2)
        async with lastgood.connect(address) as client:
            assert await client.state("s").get("a") == 2
        first.kill()
        second.start()  # a dead one's is no hindrance
    finally:
        first.close()
        second.close()


async def test_a_client_that_has_met_one_store_sends_nothing_to_another(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/the.sock"
    one = DaemonProcess(tmp_path / "one", "--address", address, forked=True).start()
    two = DaemonProcess(tmp_path / "two", "--address", address, forked=True)
    try:
        async with lastgood.connect(address, timeout=20.0) as client:
            met = await client.server_info()
            await client.state("s").set("a", 1)
            await asyncio.to_thread(one.kill)
            await asyncio.to_thread(two.start)
            for _ in range(2):
                with pytest.raises(lastgood.StoreReplacedError, match="Connect again") as refused:
                    await client.state("s").set("a", 2)
            assert refused.value.met == met.copy_id
            assert refused.value.reason == "STORE_REPLACED"
            async with lastgood.connect(address) as again:
                assert await again.list_states() == []
                assert refused.value.found == (await again.server_info()).copy_id
    finally:
        one.close()
        two.close()


@pytest.mark.parametrize("nonce", [b"", b"x" * 15, b"x" * 65])
async def test_who_it_is_takes_a_nonce_of_some_length(daemon: DaemonProcess, nonce: bytes) -> None:
    async with aio.insecure_channel(daemon.address) as channel:
        with pytest.raises(aio.AioRpcError) as refused:
            await process_pb2_grpc.ProcessServiceStub(channel).Identify(process_pb2.IdentifyRequest(nonce=nonce))
    assert refused.value.code() is StatusCode.INVALID_ARGUMENT


async def test_it_says_who_it_is_without_a_token_and_ends_for_nobody(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", "--token", "abc", forked=True).start()
    try:
        endpoint = read_endpoint(daemon.folder)
        assert isinstance(endpoint, Endpoint)
        async with aio.insecure_channel(daemon.address) as channel:
            stub = process_pb2_grpc.ProcessServiceStub(channel)
            answer = await stub.Identify(process_pb2.IdentifyRequest(nonce=b"n" * 16))
            assert answer.proof == proof.of_identity(endpoint.secret, b"n" * 16)
            for given, code in [
                (b"", StatusCode.UNAUTHENTICATED),
                (proof.of_identity(endpoint.secret, b"n" * 16), StatusCode.UNAUTHENTICATED),
                (proof.of_shut_down(endpoint.secret), StatusCode.PERMISSION_DENIED),
            ]:
                with pytest.raises(aio.AioRpcError) as refused:
                    await stub.ShutDown(process_pb2.ShutDownRequest(proof=given))
                assert refused.value.code() is code
        assert daemon.stop() == 0
    finally:
        daemon.close()


# Which copy.


def by_backup(folder: Path, saved: Path) -> None:
    """Put a backup in the place of the database."""
    shutil.copyfile(saved / "lastgood.db", folder / "lastgood.db")


def by_moving_a_backup(folder: Path, saved: Path) -> None:
    """Put a backup in the place of the database, as the file that it is."""
    (saved / "lastgood.db").replace(folder / "lastgood.db")


def by_folder(folder: Path, saved: Path) -> None:
    """Put a copy of the folder in its place; the file system gives its files the inodes that have become free."""
    shutil.rmtree(folder)
    shutil.copytree(saved, folder)


def by_file(folder: Path, saved: Path) -> None:
    """Overwrite the database with what it was before: it keeps its inode."""
    (folder / "lastgood.db").write_bytes((saved / "lastgood.db").read_bytes())


RESTORES = [by_backup, by_moving_a_backup, by_folder, by_file]


class Restored:
    """A daemon whose store is put back to an earlier one, by a backup or by a copy."""

    def __init__(self, daemon: DaemonProcess, saved: Path, restore: Callable[[Path, Path], None]) -> None:
        self.daemon = daemon
        self._saved = saved
        self._restore = restore

    async def save(self, client: lastgood.Client) -> None:
        if self._restore in {by_backup, by_moving_a_backup}:
            await client.backup(self._saved)
            return
        await asyncio.to_thread(self.daemon.stop)
        shutil.copytree(self.daemon.folder, self._saved)
        await asyncio.to_thread(self.daemon.start)

    async def restore(self) -> None:
        await asyncio.to_thread(self.daemon.stop)
        self._restore(self.daemon.folder, self._saved)
        await asyncio.to_thread(self.daemon.start)


@pytest.fixture(params=RESTORES, ids=lambda restore: restore.__name__)
def restored(own_daemon: DaemonProcess, tmp_path: Path, request: pytest.FixtureRequest) -> Restored:
    return Restored(own_daemon, tmp_path / "saved", request.param)


async def test_a_client_of_the_store_before_is_refused_by_name(restored: Restored) -> None:
    folder = restored.daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
        state = client.state("s")
        await state.set("a", 1)
        await restored.save(client)
        seen = await state.set("a", 2)
        snapshot = await state.snapshot("of what is gone")
        await restored.restore()
        async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as other:
            assert await other.state("s").set("b", "of the new branch") == seen
        for call in (
            lambda: state.set("a", 3, expected=seen),
            state.get,
            lambda: state.restore(snapshot),
            client.list_states,
        ):
            with pytest.raises(lastgood.StoreReplacedError, match="restored from a backup, or copied"):
                await call()
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as again:
        assert await again.state("s").to_dict() == {"a": 1, "b": "of the new branch"}
        kept = pickle.loads(pickle.dumps(snapshot))  # noqa: S301 - our own
        with pytest.raises(lastgood.StoreReplacedError, match="Look up what you mean"):
            await again.state("s").restore(kept)
        for refused in (
            lambda: again.state("s").get("a", at=kept),
            lambda: again.state("s").get_history(after=kept),
            lambda: again.state("s").get_history(before=kept),
            lambda: again.state("s").delete_snapshot(kept),
        ):
            with pytest.raises(lastgood.StoreReplacedError):
                await refused()


async def test_two_claimants_of_one_attempt_do_not_meet(restored: Restored) -> None:
    folder = restored.daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as old:
        async with old.workflow("w") as workflow:
            pass
        await restored.save(old)
        workflow = old.workflow("w")
        with pytest.raises(lastgood.LastgoodError):  # noqa: PT012 - what is shown takes more than one call
            async with workflow:
                token = workflow.join_token
                async with workflow.step(0, agent_id="old"):
                    await restored.restore()
                    async with (
                        lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as fresh,
                        fresh.workflow("w") as own,
                    ):
                        assert own.attempt == workflow.attempt
                        async with own.step(0, agent_id="new"):
                            await own.state.set("by", "new")
                            with pytest.raises(lastgood.FencedError, match="copy"):
                                await fresh.join(token).set("by", "a helper of the old one")
                            with pytest.raises(lastgood.StoreReplacedError):
                                await workflow.state.set("by", "old")
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as again:
        checkpoint = await again.checkpoints.get_checkpoint("w", 0)
        assert (checkpoint.agent_id, await again.state("w").get("by")) == ("new", "new")


async def test_what_other_languages_send_of_the_store_before_is_refused_by_name(
    own_daemon: DaemonProcess, tmp_path: Path
) -> None:
    restored = Restored(own_daemon, tmp_path / "saved", by_backup)
    call = Grpcurl(own_daemon.address)
    before = (await call("State.Set", context=into("s"), path="a", value={"json": "1"})).header.copy_id
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False) as client:
        await restored.save(client)
    await call.close()
    await restored.restore()
    call = Grpcurl(own_daemon.address)
    value = {"json": "1"}
    reference = {"stateId": "s", "incarnation": 1, "revision": 1, "copyId": before}
    refusals: list[tuple[str, str, dict[str, object]]] = [
        (
            "FENCED",
            "State.Set",
            {"context": into("s", fence={"workflowId": "s", "attempt": 2, "copyId": before}), "path": "a"},
        ),
        ("STORE_REPLACED", "State.Set", {"context": into("s", copyId=before), "path": "a", "value": value}),
        ("STORE_REPLACED", "History.Restore", {"context": into("s"), "target": {"snapshot": reference}}),
        ("STORE_REPLACED", "State.Read", {"state": {"stateId": "s"}, "at": {"snapshot": reference}}),
    ]
    for reason, method, request in refusals:
        assert (await call.refused(method, **request))[:2] == (StatusCode.FAILED_PRECONDITION, reason)
    await call.close()


async def test_a_snapshot_of_the_original_is_taken_by_content_in_a_copy(own_daemon: DaemonProcess, tmp_path: Path) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False) as client:
        await client.state("s").set("a", "at first")
        copy = DaemonProcess(copied(own_daemon.folder, tmp_path / "copy"), forked=True)
        await client.state("s").set("a", "in the original")
        snapshot = await client.state("s").snapshot()
        try:
            await asyncio.to_thread(copy.start)
            async with lastgood.connect(data_dir=copy.folder, autostart=False) as other:
                await other.state("s").set("a", "in the copy")
                await other.state("s").restore(snapshot)
                assert await other.state("s").get("a") == "in the original"
        finally:
            copy.close()


async def test_a_store_that_is_only_started_again_stays_the_same(own_daemon: DaemonProcess) -> None:
    folder = own_daemon.folder
    async with lastgood.connect(data_dir=folder, autostart=False, timeout=20.0) as client:
        await client.state("s").set("a", 1)
        for end in (own_daemon.stop, own_daemon.kill):
            await asyncio.to_thread(end)
            folder.rename(folder.with_name("elsewhere"))
            folder.with_name("elsewhere").rename(folder)
            await asyncio.to_thread(os.system, f"chown -R {os.getuid()} {folder}")  # as containers do when they start
            await asyncio.to_thread(own_daemon.start)
            assert await client.state("s").increment("n") > 0


async def test_a_redaction_makes_no_copy(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        await client.state("s").set("a", "a secret of somebody")
        before = await client.server_info()
        await client.state("s").redact("a secret of somebody")
        await asyncio.to_thread(own_daemon.stop)
        await asyncio.to_thread(own_daemon.start)
        await client.state("s").set("a", 1)
        async with lastgood.connect(data_dir=own_daemon.folder, autostart=False) as again:
            assert (await again.server_info()).copy_id == before.copy_id


async def test_the_clients_default_is_refused_until_its_loop_ends(
    own_daemon: DaemonProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASTGOOD_DATA_DIR", str(own_daemon.folder))
    monkeypatch.setenv("LASTGOOD_AUTOSTART", "0")
    restored = Restored(own_daemon, tmp_path / "saved", by_backup)
    await lastgood.SharedState("s").set("a", 1)
    async with lastgood.connect() as client:
        await restored.save(client)
    await restored.restore()
    for _ in range(2):
        with pytest.raises(lastgood.StoreReplacedError):
            await lastgood.SharedState("s").get("a")
    await asyncio.to_thread(asyncio.run, lastgood.SharedState("s").set("a", 2))


async def test_a_write_that_was_under_way_when_the_store_was_replaced_is_unknown(
    own_daemon: DaemonProcess, tmp_path: Path
) -> None:
    restored = Restored(own_daemon, tmp_path / "saved", by_backup)
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=30.0) as client:
        await client.state("s").set("a", 0)
        await restored.save(client)
        own_daemon.process.send_signal(19)  # it stands still, with the write in its socket
        writing = asyncio.create_task(client.state("s").set("a", 1))
        await until(lambda: any(call.in_flight for call in client._connection._ledger.unanswered()))  # noqa: SLF001
        await asyncio.to_thread(own_daemon.kill)
        by_backup(own_daemon.folder, tmp_path / "saved")
        (own_daemon.folder / "lastgood.db-wal").unlink(missing_ok=True)
        await asyncio.to_thread(own_daemon.start)
        with pytest.raises(lastgood.OutcomeUnknownError, match="copy"):
            await writing
