"""Answers that a real daemon gives once in a blue moon."""

import json
from pathlib import Path

import pytest
from tests.support.scripted import SECRET, Scene, ScriptedDaemon, Stage

import lastgood
from lastgood import __version__ as VERSION  # noqa: N812 - a constant


async def lose_the_answer(stage: Stage) -> None:
    await stage.open(VERSION)
    await stage.call()


def refuse(reason: str) -> Scene:
    async def scene(stage: Stage) -> None:
        await stage.open(VERSION)
        await stage.refuse(await stage.call(), reason)
        await stage.call()

    return scene


async def test_no_room_for_what_was_sent_before_leaves_it_unknown(tmp_path: Path) -> None:
    async with (
        ScriptedDaemon(tmp_path / "socket", lose_the_answer, refuse("OVERLOADED")) as daemon,
        lastgood.connect(daemon.address, timeout=20.0) as client,
    ):
        with pytest.raises(lastgood.OutcomeUnknownError, match="sent before"):
            await client.state("s").set("a", 1)


async def test_no_room_for_what_is_sent_for_the_first_time_means_that_nothing_was_written(tmp_path: Path) -> None:
    async with (
        ScriptedDaemon(tmp_path / "socket", refuse("OVERLOADED")) as daemon,
        lastgood.connect(daemon.address, timeout=20.0) as client,
    ):
        with pytest.raises(lastgood.OverloadedError):
            await client.state("s").set("a", 1)


async def test_what_a_leaving_daemon_turned_away_is_asked_of_the_next_under_the_same_number(tmp_path: Path) -> None:
    seen = []

    async def leave(stage: Stage) -> None:
        await stage.open(VERSION)
        call = await stage.call()
        seen.append(call)
        await stage.refuse(call, "UNAVAILABLE")

    async def do(stage: Stage) -> None:
        assert (await stage.open(VERSION)).session_id == "a session"
        call = await stage.call()
        seen.append(call)
        await stage.set_to(call, 7)
        await stage.call()

    async with (
        ScriptedDaemon(tmp_path / "socket", leave, leave, do) as daemon,
        lastgood.connect(daemon.address, timeout=20.0) as client,
    ):
        assert await client.state("s").set("a", 1) == 7
    assert {call.sequence for call in seen} == {seen[0].sequence}
    assert len({call.set.SerializeToString(deterministic=True) for call in seen}) == 1


async def test_turned_away_until_the_time_is_up_means_that_nothing_was_written(tmp_path: Path) -> None:
    async with (
        ScriptedDaemon(tmp_path / "socket", refuse("UNAVAILABLE")) as daemon,
        lastgood.connect(daemon.address, timeout=20.0) as client,
    ):
        with pytest.raises(lastgood.DaemonUnavailableError):
            await client.state("s").set("a", 1, timeout=0.5)


@pytest.mark.parametrize("version", ["99.0.0", "0.99.0"])
async def test_a_daemon_of_another_version_is_told_about_plainly(tmp_path: Path, version: str) -> None:
    async def open_only(stage: Stage) -> None:
        await stage.open(version)
        await stage.call()

    async with ScriptedDaemon(tmp_path / "socket", open_only) as daemon:
        with pytest.raises(lastgood.IncompatibleDaemonError, match=version) as failure:
            await lastgood.connect(daemon.address, timeout=20.0)
    assert (failure.value.client_version, failure.value.daemon_version) == (VERSION, version)
    assert isinstance(failure.value, lastgood.DaemonUnavailableError)


@pytest.mark.parametrize("autostarted", [True, False])
async def test_how_to_end_a_daemon_of_another_version_is_said(tmp_path: Path, autostarted: bool) -> None:
    async def open_only(stage: Stage) -> None:
        await stage.open("0.99.0")
        await stage.call()

    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    place = folder.stat()
    async with ScriptedDaemon(tmp_path / "socket", open_only) as daemon:
        endpoint = {"address": daemon.address, "pid": 4711, "daemon_id": "scripted", "version": "0.99.0", "secret": SECRET}
        where = {"device": place.st_dev, "inode": place.st_ino, "autostarted": autostarted}
        (folder / "endpoint.json").write_text(json.dumps(endpoint | where))
        says = "kill 4711 " if autostarted else "process 4711, where it was started"
        with pytest.raises(lastgood.IncompatibleDaemonError, match=says):
            await lastgood.connect(data_dir=folder, autostart=False, timeout=20.0)
