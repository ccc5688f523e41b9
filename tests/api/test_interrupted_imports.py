"""An import that ends early leaves nothing; one that came to its end is durable."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import apsw
import pytest
from tests.api.transfers import enriched, exported, seen
from tests.support.daemons import DaemonProcess

from lastgood import (
    Client,
    InvalidArgumentError,
)


def of_the_log(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.startswith('{"revision"')]


def stored(folder: Path) -> tuple[int, int]:
    """How many logs there are in a folder, and hidden states."""
    connection = apsw.Connection(str(folder / "lastgood.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        logs = connection.execute("SELECT number FROM logs").fetchall()
        hidden = connection.execute("SELECT owner FROM records WHERE owner LIKE 'import-%'").fetchall()
        return len(logs), len(hidden)
    finally:
        connection.close()


async def test_what_was_refused_has_left_nothing_in_the_file(alone: Client, own_daemon: DaemonProcess) -> None:
    await asyncio.gather(*(alone.state("trip").set("x", number) for number in range(2000)))
    lines = await exported(alone, "trip")
    with pytest.raises(InvalidArgumentError):
        await alone.import_state("copy", lines[:-1])
    assert stored(own_daemon.folder) == (1, 0)


@pytest.mark.slow
async def test_a_crash_in_the_middle(alone: Client, own_daemon: DaemonProcess) -> None:
    """Nothing of it is to be seen, it can be done again, and what it has left goes by itself."""
    await asyncio.gather(*(alone.state("trip").set("x", "x" * 1000 + str(number)) for number in range(3000)))
    lines = await exported(alone, "trip")

    async def cut_off() -> AsyncIterator[str]:
        for number, line in enumerate(lines):
            if number == 2500:
                assert stored(own_daemon.folder) == (2, 1)
                own_daemon.kill()
                own_daemon.start()
            yield line

    with pytest.raises(InvalidArgumentError, match="it was cut off by a restart"):
        await alone.import_state("copy", cut_off())
    assert await alone.list_states() == ["trip"]
    assert await alone.state("copy").revision() == 0
    assert await alone.import_state("copy", lines) == 3000
    assert await exported(alone, "copy") == [lines[0].replace('"trip"', '"copy"'), *(await exported(alone, "copy"))[1:]]
    assert of_the_log(await exported(alone, "copy")) == of_the_log(lines)
    await alone.compact()
    assert stored(own_daemon.folder) == (2, 0)


async def test_it_is_durable(alone: Client, own_daemon: DaemonProcess) -> None:
    state = alone.state("trip")
    await enriched(alone, state)
    before = await seen(state)
    await alone.import_state("copy", await exported(alone, "trip"))
    own_daemon.kill()
    own_daemon.start()
    assert await seen(alone.state("copy")) == before
    await alone.state("copy").set("x", 1)


async def test_a_round_of_housekeeping_leaves_one_that_is_under_way(alone: Client) -> None:
    await asyncio.gather(*(alone.state("trip").set("x", "x" * 1000 + str(number)) for number in range(2000)))
    lines = await exported(alone, "trip")

    async def slowly() -> AsyncIterator[str]:
        for number, line in enumerate(lines):
            if number == 1800:
                assert (await alone.compact()).copies == 0
            yield line

    assert await alone.import_state("copy", slowly()) == 2000
