"""A store that was made by an earlier version: it is read, verified and written on, and is told of as it was then."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.golden import store
from tests.support.daemons import DaemonProcess

import lastgood
from lastgood_daemon.process.verify import main as verify_offline

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return store.unpacked(tmp_path / "store")


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[lastgood.Client]:
    daemon = DaemonProcess(folder, forked=True).start()
    try:
        async with lastgood.connect(data_dir=folder, autostart=False, agent_id="later") as connected:
            yield connected
    finally:
        daemon.close()


async def test_it_says_what_it_said_then(client: lastgood.Client, folder: Path) -> None:
    said = await store.told(client)
    then = json.loads((folder / store.TOLD).read_text())
    assert said.keys() == then.keys()
    for what, was in then.items():
        assert said[what] == was, what


async def test_it_is_sound_and_goes_on(client: lastgood.Client) -> None:
    assert (await client.verify()).problems == ()
    plan = client.state("plan")
    before = await plan.revision()
    assert await plan.set("later", 1) == before + 1
    await plan.restore(next(each for each in await plan.list_snapshots() if each.label == "second"))
    assert await plan.get("tasks.0") == "unpack"
    thread = client.state("thread")
    assert len(await thread.get("messages", at=700)) == 1099
    async with client.workflow("trip") as trip:
        assert trip.is_resumed
        async with trip.step(3) as step:
            await step.state.set("step3", "done")
    with pytest.raises(lastgood.InDoubtError):
        async with client.workflow("doubt", wait=True) as doubt, doubt.step(0) as step:
            await step.once("mail", dict, in_doubt="raise")
    assert (await client.verify()).problems == ()


def test_it_is_sound_without_a_daemon(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_offline(["--data-dir", str(folder)]) == 0, capsys.readouterr()
