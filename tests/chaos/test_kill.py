"""kill -9 of the daemon, again and again, while clients write."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.chaos.workload import Workload
from tests.support.daemons import DaemonProcess, autostarted_pid
from tests.support.waiting import until

import lastgood

KILLS = 100
AUTOSTARTED_KILLS = 20


@pytest.mark.timeout(170)
async def test_acknowledged_writes_survive_100_kills_once_and_in_order(tmp_path: Path) -> None:
    """The clients find the daemon through its folder and have nothing but their timeouts: they get on by themselves."""
    daemon = DaemonProcess(tmp_path / "data", forked=True).start()

    def connect() -> lastgood.Client:
        return lastgood.connect(data_dir=daemon.folder, autostart=False, timeout=30.0)

    try:
        async with Workload(connect, clients=8, tasks=4) as workload:
            for _ in range(KILLS):
                await workload.progress()
                await asyncio.to_thread(daemon.kill)
                await asyncio.to_thread(daemon.start)
            await workload.progress()
            await workload.finish()
            async with connect() as client:
                await workload.check(client)
    finally:
        daemon.close()


async def test_clients_start_the_daemon_again_after_every_kill(folder: Path) -> None:
    """Nobody but the clients starts it, and they start one."""

    def connect() -> lastgood.Client:
        return lastgood.connect(data_dir=folder, timeout=30.0)

    killed: set[int | None] = {None}
    async with Workload(connect, clients=4, tasks=2) as workload:
        for _ in range(AUTOSTARTED_KILLS):
            await workload.progress()
            pid = await until(lambda: autostarted_pid(folder) if autostarted_pid(folder) not in killed else None)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        await workload.progress()
        await workload.finish()
        async with connect() as client:
            await workload.check(client)
    log = (folder / "daemon.log").read_text()
    assert log.count('"event": "serving"') <= AUTOSTARTED_KILLS + 1  # one may be killed before it has said so
    assert "in use" not in log
