"""Connections that break while answers are on their way."""

import asyncio
import random
from pathlib import Path

import pytest
from tests.chaos.workload import Workload
from tests.support.daemons import DaemonProcess
from tests.support.proxy import CuttingProxy
from tests.support.waiting import until

import lastgood

CUTS = 60


@pytest.mark.slow
async def test_counters_are_exact_however_often_the_connection_is_cut(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "data", forked=True).start()
    generator = random.Random(20261123)
    try:
        async with CuttingProxy(daemon.address, tmp_path / "proxy.sock", generator, span=(200, 4000)) as proxy:

            def connect() -> lastgood.Client:
                return lastgood.connect(proxy.address, timeout=60.0)

            async with Workload(connect, clients=2, tasks=8) as workload:
                await until(lambda: proxy.cuts >= CUTS, 60)
                proxy.cutting = False
                await workload.finish()
                async with connect() as client:
                    await workload.check(client)
    finally:
        daemon.close()


async def test_large_values_get_through_however_often_the_connection_is_cut(tmp_path: Path) -> None:
    """Calls and answers in parts, cut in the middle of one or before the answer: each is done once, and comes back whole."""
    daemon = DaemonProcess(tmp_path / "data", forked=True).start()
    generator = random.Random(7)
    values = [generator.randbytes(1_200_000) for _ in range(4)]
    order: list[bytes] = []
    try:
        async with (
            CuttingProxy(daemon.address, tmp_path / "writing.sock", generator, span=(400, 1500)) as proxy,
            lastgood.connect(proxy.address, timeout=60.0) as client,
        ):
            state = client.state("large")
            while proxy.cuts < 6 or not order:
                revisions = await asyncio.gather(*(state.append("values", value) for value in values))
                assert sorted(revisions) == [len(order) + number for number in range(1, len(values) + 1)]
                order += [value for _, value in sorted(zip(revisions, values, strict=True))]
        async with (
            CuttingProxy(daemon.address, tmp_path / "reading.sock", generator, span=(500, 3_000_000)) as proxy,
            lastgood.connect(proxy.address, timeout=60.0) as client,
        ):
            state = client.state("large")
            while proxy.cuts < 5:
                assert await state.get("values.0") == order[0]
            proxy.cutting = False
            assert await state.get("values") == order
    finally:
        daemon.close()
