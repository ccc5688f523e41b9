"""The power of the daemon's disk is cut, again and again, while clients write."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.chaos import mutants, sizes
from tests.chaos.disk import LoopDisk, NotHereError
from tests.chaos.endurance import Load, Report, endure
from tests.chaos.workload import FaultError, Figures
from tests.support.daemons import DaemonProcess
from tests.support.processes import stands_still
from tests.support.waiting import wait_until

import lastgood

pytestmark = pytest.mark.slow

CUTS = sizes.of(25, 500)
WRITES = sizes.of(50, 400)
"""Acknowledged before each cut."""
CHAPTERS = sizes.of(1, 50)
LOAD = Load(CHAPTERS, CUTS // CHAPTERS, WRITES, clients=4, tasks=4)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    try:
        disk = LoopDisk(tmp_path / "data")
    except NotHereError as error:
        pytest.skip(f"no power cuts here: {error}")
    yield disk
    disk.close()


async def cut_off(load: Load, disk: LoopDisk, mutant: Callable[[], None] | None = None) -> Figures:
    """The clients are outside: they live on, and their connections to where the daemon listens break with it."""
    address = f"unix:{disk.folder.with_name('daemon.sock')}"
    healthy = DaemonProcess(disk.folder, "--address", address, forked=True)
    daemon = DaemonProcess(disk.folder, "--address", address, forked=True, mutant=mutant)

    def connect() -> lastgood.Client:
        return lastgood.connect(address, timeout=30.0)

    def cut() -> None:
        pid = daemon.process.pid
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: stands_still(pid))
        disk.cut()
        daemon.kill()
        disk.mount_again()
        daemon.start()

    try:
        healthy.start().kill()  # the file has been made by one that is well
        daemon.start()
        return await endure(load, connect, cut)
    finally:
        healthy.close()
        daemon.close()


def test_a_cut_leaves_what_was_synced_and_nothing_else(disk: LoopDisk) -> None:
    for name, synced in (("synced", True), ("not synced", False)):
        with (disk.folder / name).open("wb") as file:
            file.write(b"written")
            file.flush()
            if synced:
                os.fsync(file.fileno())
    disk.cut()
    with pytest.raises(OSError, match="Input/output error"):
        (disk.folder / "later").touch()
    disk.mount_again()
    assert (disk.folder / "synced").read_bytes() == b"written"
    assert {path.name for path in disk.folder.iterdir()} == {"lost+found", "synced"}


async def test_acknowledged_writes_survive_power_cuts_once_and_in_order(
    disk: LoopDisk, record_property: Callable[[str, object], None]
) -> None:
    report = Report(record_property, "power cut")
    figures = await cut_off(LOAD, disk)
    report.tell(CUTS, figures)
    assert figures.acknowledged >= CUTS * WRITES


@pytest.mark.skipif(not sizes.LONG, reason="mutants are for the long form: LASTGOOD_CHAOS=long")
async def test_the_cuts_find_a_daemon_that_syncs_less(
    disk: LoopDisk, record_property: Callable[[str, object], None]
) -> None:
    report = Report(record_property, "power cut of a daemon that has to sync less")
    load = replace(LOAD, chapters=1, disturbances=10)
    with pytest.raises(FaultError) as found:
        await cut_off(load, disk, mutants.sync_less)
    report.tell(load.disturbances, found.value.figures)
    assert found.value.figures.lost
