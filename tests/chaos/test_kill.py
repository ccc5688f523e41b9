"""kill -9 of the daemon, again and again, while clients write."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos import mutants, sizes
from tests.chaos.endurance import Load, Report, endure
from tests.chaos.workload import FaultError, Figures, Workload
from tests.support.daemons import DaemonProcess, autostarted_pid
from tests.support.waiting import until

import lastgood

pytestmark = pytest.mark.slow

KILLS = sizes.of(100, 2_000)
WRITES = sizes.of(20, 260)
"""Acknowledged before each kill: more than 500,000 in the long form."""
CHAPTERS = sizes.of(1, 80)
AUTOSTARTED_KILLS = 20
LOAD = Load(CHAPTERS, KILLS // CHAPTERS, WRITES, clients=8, tasks=4)


async def killed(load: Load, folder: Path, mutant: Callable[[], None] | None = None) -> Figures:
    """The clients find the daemon through its folder and have nothing but their timeouts: they get on by themselves."""
    daemon = DaemonProcess(folder, forked=True, mutant=mutant).start()

    def connect() -> lastgood.Client:
        return lastgood.connect(data_dir=folder, autostart=False, timeout=30.0)

    def kill() -> None:
        daemon.kill()
        daemon.start()

    try:
        return await endure(load, connect, kill)
    finally:
        daemon.close()


async def test_acknowledged_writes_survive_kills_once_and_in_order(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    report = Report(record_property, "kill -9")
    figures = await killed(LOAD, tmp_path / "data")
    report.tell(KILLS, figures)
    assert figures.acknowledged >= KILLS * WRITES


@pytest.mark.skipif(not sizes.LONG, reason="mutants are for the long form: LASTGOOD_CHAOS=long")
@pytest.mark.parametrize(
    ("mutant", "fault"),
    [(mutants.answer_before_commit, "lost"), (mutants.forget_answers, "twice")],
    ids=["hasty", "forgetful"],
)
async def test_the_kills_find_a_broken_daemon(
    tmp_path: Path, record_property: Callable[[str, object], None], mutant: Callable[[], None], fault: str
) -> None:
    report = Report(record_property, f"kill -9 of a daemon that has to {mutant.__name__.replace('_', ' ')}")
    load = replace(LOAD, chapters=1, disturbances=50)
    with pytest.raises(FaultError) as found:
        await killed(load, tmp_path / "data", mutant)
    report.tell(load.disturbances, found.value.figures)
    assert getattr(found.value.figures, fault)


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
