"""Tokens, over a Unix socket and over TCP."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc import StatusCode, aio
from tests.support.daemons import DaemonProcess
from tests.support.forked import run_forked
from tests.support.sessions import RawSession

import lastgood
from lastgood.__main__ import main
from lastgood_proto.v1 import server_pb2, server_pb2_grpc

TOKEN = "correct horse battery staple"  # noqa: S105 - of daemons that live for a moment
WRONG = "wrong"


@pytest.fixture(scope="module", params=["unix", "localhost:0", "127.0.0.1:0"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    arguments = () if request.param == "unix" else ("--address", request.param)
    folder = tmp_path_factory.mktemp("guarded") / "data"
    daemon = DaemonProcess(folder, *arguments, environment={"LASTGOOD_TOKEN": TOKEN}, forked=True)
    yield daemon.start()
    assert daemon.stop() == 0


async def test_the_right_one_lets_in(guarded: DaemonProcess) -> None:
    async with lastgood.connect(guarded.address, token=TOKEN, timeout=20.0) as client:
        assert await client.state("s").set("a", 1) > 0
        assert (await client.server_info()).address == guarded.address
    async with lastgood.connect(data_dir=guarded.folder, token=TOKEN, autostart=False, timeout=20.0) as client:
        assert await client.list_states() == ["s"]


@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x", TOKEN[:-1]])
async def test_another_one_or_none_is_refused_at_once(guarded: DaemonProcess, token: str | None) -> None:
    begin = time.monotonic()
    with pytest.raises(lastgood.UnauthenticatedError, match="wants another token" if token else "wants a token") as failure:
        await lastgood.connect(guarded.address, token=token, timeout=30.0)
    assert time.monotonic() - begin < 10.0
    assert failure.value.reason == "UNAUTHENTICATED"
    assert isinstance(failure.value, PermissionError)
    with pytest.raises(lastgood.UnauthenticatedError):
        await lastgood.connect(data_dir=guarded.folder, token=token, autostart=False, timeout=30.0)


async def test_the_variable_is_a_clients_token_too(guarded: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_TOKEN", TOKEN)
    async with lastgood.connect(guarded.address, timeout=20.0) as client:
        assert (await client.server_info()).address == guarded.address
    with pytest.raises(lastgood.UnauthenticatedError):
        await lastgood.connect(guarded.address, token=WRONG, timeout=20.0)


async def test_unary_calls_need_it_too(guarded: DaemonProcess) -> None:
    async with aio.insecure_channel(guarded.address) as channel:
        stub = server_pb2_grpc.ServerServiceStub(channel)
        for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", TOKEN),)):
            with pytest.raises(aio.AioRpcError) as failure:
                await stub.GetServerInfo(server_pb2.GetServerInfoRequest(), metadata=metadata)
            assert failure.value.code() is StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {TOKEN}"),)
        answer = await stub.GetServerInfo(server_pb2.GetServerInfoRequest(), metadata=metadata)
        assert answer.server.data_dir == str(guarded.folder)


async def test_a_session_without_it_never_opens(guarded: DaemonProcess) -> None:
    session = RawSession(guarded.address, token=WRONG)
    await session.connect()
    with pytest.raises(aio.AioRpcError) as failure:
        await session.receive()
    assert failure.value.code() is StatusCode.UNAUTHENTICATED
    await session.close()


async def test_what_the_token_is_stands_nowhere_in_the_log(guarded: DaemonProcess) -> None:
    assert TOKEN not in guarded.log.read_text()


async def test_an_empty_variable_is_none(guarded: DaemonProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTGOOD_TOKEN", "")
    with pytest.raises(lastgood.UnauthenticatedError, match="wants a token"):
        await lastgood.connect(guarded.address, timeout=20.0)
    with pytest.raises(lastgood.InvalidArgumentError, match="empty"):
        await lastgood.connect(guarded.address, token="", timeout=20.0)


@pytest.mark.parametrize("token", [" ", " a", "a ", "a\nb", "é", "a\x00"])
async def test_one_that_cannot_be_sent_is_refused_at_either_end(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="token must be of visible characters of ASCII"):
        lastgood.connect("localhost:1", token=token)
    done = run_forked(main, ["serve", "--data-dir", str(tmp_path / "data"), f"--token={token}"])
    assert (done.returncode, "must be of visible characters" in done.stderr) == (2, True), done.stderr
    if "\x00" not in token:
        monkeypatch.setenv("LASTGOOD_TOKEN", os.fsdecode(token.encode()))
        with pytest.raises(lastgood.InvalidArgumentError, match="LASTGOOD_TOKEN must be of visible characters of ASCII"):
            lastgood.connect("localhost:1")


@pytest.mark.parametrize("address", ["203.0.113.1:7411", "agents.invalid:7411", "[2001:db8::1]:7411", "127.0.0.1.invalid:1"])
async def test_one_is_not_sent_in_the_clear(address: str) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match=r"without TLS.*tls=") as refused:
        await lastgood.connect(address, token=TOKEN, timeout=5.0)
    assert TOKEN not in str(refused.value)


async def test_backups_over_the_network(tmp_path: Path) -> None:
    root = tmp_path / "backups"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    for configured in (True, False):
        flags = ("--backup-dir", str(root)) if configured else ()
        process = DaemonProcess(tmp_path / "data", "--address", "127.0.0.1:0", *flags, forked=True).start()
        try:
            async with lastgood.connect(process.address, timeout=20.0) as client:
                outside = [tmp_path / "elsewhere", root, root / ".." / "elsewhere", root / "out" / "elsewhere"]
                for path in outside if configured else [root / "fine"]:
                    with pytest.raises(lastgood.PermissionDeniedError, match=r"backup_dir|--backup-dir"):
                        await client.backup(path)
                if configured:
                    assert (await client.backup(root / "fine")).size > 0
            assert process.stop() == 0
        finally:
            process.close()
    assert not (tmp_path / "elsewhere").exists()
