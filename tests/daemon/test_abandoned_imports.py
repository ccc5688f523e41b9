"""An import whose lines stop coming costs little memory meanwhile, and is given up."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.transfers import exported
from tests.support.daemons import DaemonProcess
from tests.support.resident import MEBIBYTE, Resident
from tests.support.sessions import RawSession, reason_of
from tests.support.waiting import until

import lastgood
from lastgood_daemon.authority import importing
from lastgood_proto.v1 import session_pb2, transfer_pb2


def impatient() -> None:
    importing.IDLE_SECONDS = 0.5
    importing.PRESSED_SECONDS = 0.2


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "patient", forked=True).start()
    yield process
    process.close()


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "hasty", forked=True, mutant=impatient).start()
    yield process
    process.close()


def piece(sequence: int, state_id: str, offset: int, data: bytes) -> session_pb2.Call:
    request = transfer_pb2.ImportStateRequest(state_id=state_id, import_id=state_id, offset=offset, data=data)
    return session_pb2.Call(sequence=sequence, import_state=request)


@pytest.mark.slow
async def test_lines_that_never_end(patient: DaemonProcess) -> None:
    memory = Resident(patient.process.pid)
    async with RawSession(patient.address) as session:
        sequence = 0
        for state_id in ("a", "b", "c", "d"):
            for number in range(25):
                sequence += 1
                reply = await session.call(piece(sequence, state_id, number * MEBIBYTE, b"x" * MEBIBYTE))
                assert not reply.HasField("error"), reply
    assert memory.growth() < 40


async def test_a_line_that_lay_on_the_disk_is_read(patient: DaemonProcess) -> None:
    async with lastgood.connect(data_dir=patient.folder, autostart=False, timeout=60.0) as client:
        await client.state("long").set("v", "ü" * MEBIBYTE)
        lines = await exported(client, "long")
        assert max(map(len, lines)) > MEBIBYTE
        assert await client.import_state("copy", lines) == 1
        assert await client.state("copy").get("v") == "ü" * MEBIBYTE


async def test_one_that_stops_is_given_up(hasty: DaemonProcess) -> None:
    descriptors = Path(f"/proc/{hasty.process.pid}/fd")
    async with RawSession(hasty.address) as session:
        before = len(list(descriptors.iterdir()))
        assert not (await session.call(piece(1, "a", 0, b"x" * MEBIBYTE))).HasField("error")
        assert len(list(descriptors.iterdir())) == before + 1
        await until(lambda: len(list(descriptors.iterdir())) == before)
        refused = await session.call(piece(2, "a", MEBIBYTE, b"x"))
        assert reason_of(refused) == "ERROR_REASON_INVALID_ARGUMENT"
        assert "no piece came for 0.5 s" in refused.error.message


async def test_one_that_goes_on_is_not(hasty: DaemonProcess) -> None:
    async with lastgood.connect(data_dir=hasty.folder, autostart=False, timeout=60.0) as client:
        await asyncio.gather(*(client.state("long").set("v", "x" * 400_000 + str(number)) for number in range(10)))
        lines = await exported(client, "long")
        assert await client.import_state("copy", lines) == 10
