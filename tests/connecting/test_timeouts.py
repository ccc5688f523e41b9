"""Timeouts: what a call waits for, and what it says when its time is up."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import stopped

import lastgood

SHORT = 0.4


@pytest.fixture
async def connected(own_daemon: DaemonProcess) -> AsyncIterator[lastgood.Client]:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=30.0) as client:
        yield client


@asynccontextmanager
async def in_time(seconds: float = SHORT) -> AsyncIterator[None]:
    """What is done here takes that long, and not much longer."""
    begin = time.monotonic()
    yield
    assert seconds * 0.9 <= time.monotonic() - begin < seconds + 2.0


# Within its time, a call waits for a daemon that restarts.


async def test_calls_wait_for_a_daemon_that_restarts(own_daemon: DaemonProcess, connected: lastgood.Client) -> None:
    state = connected.state("s")
    await state.set("a", 1)
    own_daemon.kill()
    calls = asyncio.gather(state.get("a"), state.set("b", 2), connected.list_states())
    await asyncio.to_thread(own_daemon.start)
    assert tuple(await calls) == (1, 2, ["s"])


async def test_connecting_waits_for_a_daemon_that_starts(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data")
    by_folder = asyncio.ensure_future(lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=30.0))
    by_address = asyncio.ensure_future(lastgood.connect(f"unix:{daemon.folder}/daemon.sock", timeout=30.0))
    try:
        await asyncio.to_thread(daemon.start)
        clients = await asyncio.gather(by_folder, by_address)
        infos = [await client.server_info() for client in clients]
        assert infos[0] == infos[1]
        for client in clients:
            await client.aclose()
    finally:
        daemon.close()


async def test_a_client_follows_its_folder_to_another_address(tmp_path: Path) -> None:
    token = "t"  # noqa: S105 - of daemons that live for a moment
    environment = {"LASTGOOD_TOKEN": token}
    local = DaemonProcess(tmp_path / "data", environment=environment, forked=True)
    remote = DaemonProcess(tmp_path / "data", "--address", "localhost:0", environment=environment, forked=True)
    try:
        await asyncio.to_thread(local.start)
        async with lastgood.connect(data_dir=local.folder, token=token, autostart=False, timeout=30.0) as client:
            await client.state("s").set("a", 1)
            assert await asyncio.to_thread(local.stop) == 0
            await asyncio.to_thread(remote.start)
            assert await client.state("s").increment("a") == 2
            assert (await client.server_info()).address.startswith("localhost:")
            assert await asyncio.to_thread(remote.stop) == 0
            await asyncio.to_thread(local.start)
            assert await client.state("s").increment("a") == 3
            assert (await client.server_info()).address.startswith("unix:")
    finally:
        local.close()
        remote.close()


async def test_a_write_whose_answer_was_lost_is_settled_under_the_same_identity(
    own_daemon: DaemonProcess, connected: lastgood.Client
) -> None:
    """Many times, so that kills fall before, between and after the commit and the answer."""
    state = connected.state("s")
    returned = []
    for _ in range(5):
        writes = [asyncio.create_task(state.increment("n")) for _ in range(50)]
        await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
        own_daemon.kill()
        await asyncio.to_thread(own_daemon.start)
        returned += await asyncio.gather(*writes)
    assert sorted(returned) == list(range(1, 251))
    assert await state.read("n") == lastgood.Reading(250, 250, existed=True)


# Out of time.


async def test_a_read_out_of_time(own_daemon: DaemonProcess, connected: lastgood.Client) -> None:
    state = connected.state("s")
    with stopped(own_daemon.process.pid):
        for read in (state.get, state.to_dict, state.get_history, connected.list_states, connected.server_info):
            async with in_time():
                with pytest.raises(lastgood.DaemonUnavailableError) as failure:
                    await read(timeout=SHORT)
            assert isinstance(failure.value, TimeoutError)
    assert await state.get("a") is None


async def test_a_write_that_was_sent_and_cannot_be_settled(own_daemon: DaemonProcess, connected: lastgood.Client) -> None:
    state = connected.state("s")
    await state.set("n", 0)
    with stopped(own_daemon.process.pid):
        async with in_time():
            with pytest.raises(lastgood.OutcomeUnknownError, match="increment") as failure:
                await state.increment("n", timeout=SHORT)
    assert isinstance(failure.value, TimeoutError)
    assert failure.value.reason == "OUTCOME_UNKNOWN"
    # The daemon wakes up, and the client gets on. It was dropped, since its time had passed; or else it was done once.
    assert await state.get("n") in {0, 1}
    assert await state.increment("n") in {1, 2}


async def test_a_write_that_was_never_sent(own_daemon: DaemonProcess, connected: lastgood.Client) -> None:
    state = connected.state("s")
    await state.set("n", 0)
    own_daemon.kill()
    with pytest.raises(lastgood.DaemonUnavailableError):
        await state.get(timeout=SHORT)  # now the client knows that there is nobody to send to
    async with in_time():
        with pytest.raises(lastgood.DaemonUnavailableError, match="lastgood serve"):
            await connected.state("t").increment("n", timeout=SHORT)
    await asyncio.to_thread(own_daemon.start)
    assert await connected.list_states() == ["s"]


async def test_a_write_that_nobody_ever_heard_of(tmp_path: Path) -> None:
    client = lastgood.connect(data_dir=tmp_path / "nobody", autostart=False, timeout=SHORT)
    async with in_time():
        with pytest.raises(lastgood.DaemonUnavailableError):
            await client.state("s").set("a", 1)
    await client.aclose()


async def test_connecting_to_a_daemon_that_stands_still(own_daemon: DaemonProcess) -> None:
    with stopped(own_daemon.process.pid):
        for where in ({"data_dir": str(own_daemon.folder)}, {"address": own_daemon.address}):
            async with in_time():
                with pytest.raises(lastgood.DaemonUnavailableError):
                    await lastgood.connect(timeout=SHORT, **where)  # type: ignore[arg-type]


async def test_a_write_into_a_new_client_of_a_daemon_that_stands_still_was_never_sent(own_daemon: DaemonProcess) -> None:
    client = lastgood.connect(own_daemon.address, timeout=SHORT)
    with stopped(own_daemon.process.pid), pytest.raises(lastgood.DaemonUnavailableError):
        await client.state("s").set("a", 1)
    assert await client.list_states(timeout=20.0) == []
    await client.aclose()


# Of the client and of each call.


async def test_the_time_of_a_call_goes_before_that_of_the_client(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=SHORT) as client:
        with stopped(own_daemon.process.pid):
            async with in_time():
                with pytest.raises(lastgood.DaemonUnavailableError):
                    await client.state("s").get()
            longer = asyncio.create_task(client.state("s").get(timeout=30.0))
            async with in_time():
                with pytest.raises(lastgood.OutcomeUnknownError):
                    await client.state("s").set("a", 1)
            assert not longer.done()
        assert await longer == {}


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, "5"])
async def test_what_is_no_time_is_refused(daemon: DaemonProcess, timeout: float) -> None:
    with pytest.raises(lastgood.InvalidArgumentError, match="timeout"):
        lastgood.connect(timeout=timeout)
    async with lastgood.connect(daemon.address) as client:
        with pytest.raises(lastgood.InvalidArgumentError, match="timeout"):
            await client.list_states(timeout=timeout)


async def test_endless_patience_is_allowed(daemon: DaemonProcess, state_id: str) -> None:
    async with lastgood.connect(daemon.address, timeout=float("inf")) as client:
        assert await client.state(state_id).set("a", 1) == 1
        assert await client.state(state_id).get("a", timeout=1e9) == 1
