"""What a client can ask of the daemon as a whole."""

import asyncio

import pytest
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood_daemon import __version__ as daemon_version


async def test_server_info(daemon: DaemonProcess, client: lastgood.Client) -> None:
    info = await client.server_info()
    assert (info.version, info.address, info.data_dir) == (daemon_version, daemon.address, str(daemon.folder))
    assert info.daemon_id == daemon.endpoint["daemon_id"]
    assert info.address.startswith("unix:/")


async def test_the_identity_of_a_daemon_is_that_of_its_folder(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(data_dir=own_daemon.folder, autostart=False, timeout=20.0) as client:
        before = await client.server_info()
        own_daemon.kill()
        await asyncio.to_thread(own_daemon.start)
        assert await client.server_info() == before


async def test_list_states_lists_all_in_order_however_many(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=30.0) as client:
        assert await client.list_states() == []
        names = [f"state {index}" for index in range(1005)] + ["../x", "wf/1", "wf_1", "ü", "\U0001f600", " "]
        await asyncio.gather(*(client.state(name).set("a", 1) for name in names))
        assert await client.list_states() == sorted(names)
        assert await client.state("only read").get() == {}
        assert await client.list_states() == sorted(names)
    assert {each.name for each in own_daemon.folder.parent.iterdir()} <= {"data", "data.log", "home"}


async def test_copies_made_for_checkpoints_are_not_listed(own_daemon: DaemonProcess) -> None:
    async with lastgood.connect(own_daemon.address, timeout=20.0) as client:
        await client.checkpoints.create_checkpoint("w", 1, "a", lastgood.AgentStatus.COMPLETED, {"a": 1})
        assert await client.list_states() == []


async def test_delete_state(client: lastgood.Client, state_id: str) -> None:
    assert await client.delete_state(state_id) is False
    used, unused = client.state(state_id), client.state(state_id)
    await used.set("a", 1)
    assert await client.delete_state(state_id) is True
    assert await client.delete_state(state_id) is False
    assert state_id not in await client.list_states()
    for call in (used.get, used.to_dict, used.revision, used.snapshot, used.get_history):
        with pytest.raises(lastgood.StateNotFoundError) as failure:
            await call()
        assert failure.value.state_id == state_id
        assert isinstance(failure.value, LookupError)
    with pytest.raises(lastgood.StateNotFoundError):
        await used.set("a", 2)
    # A handle that had not been used takes the new life of the id.
    assert await unused.read() == lastgood.Reading({}, 0, existed=True)
    assert await unused.set("b", 1) == 1
    assert await unused.to_dict() == {"b": 1}
    assert state_id in await client.list_states()
    with pytest.raises(lastgood.StateNotFoundError):
        await used.get()


async def test_an_empty_id_is_refused(client: lastgood.Client) -> None:
    for call in (lambda: client.state(""), lambda: client.workflow("")):
        with pytest.raises(lastgood.InvalidArgumentError):
            call()
    with pytest.raises(lastgood.InvalidArgumentError):
        await client.delete_state("")
