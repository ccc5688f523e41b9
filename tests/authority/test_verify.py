"""Verification against what a daemon has in memory, and its places."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.authority.verify import Problem, verify
from lastgood_daemon.engine.change import Put
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import Reading
from lastgood_proto.values import encode


def set_to(value: object) -> Write:
    return Write(StateRef("s"), Author(), Precondition(), (("set", Set(("a", "b"), encode(value))),), 1)


async def test_what_is_in_memory_is_held_against_its_log(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        for value in ("x", "y"):
            assert not isinstance(await daemon.do(set_to(value)), Refused)
        live = await daemon.authority.ask(lambda reader: reader.state("s"))
        before = live.tree
        assert not isinstance(await daemon.do(set_to("z")), Refused)

        async def problems(state: State) -> list[Problem]:
            async with daemon.store.aside() as reading:
                return (await verify(reading, {"s": state}, ""))[0].problems

        assert await problems(live) == [], "it was at revision 2 when the state was looked at"
        other = replace(live, tree=before.apply([], 2).apply(_changes(), 2, before.timestamp))
        assert await problems(other) == [
            Problem("state 's'", "what is in memory at revision 2 is not what its log says: path 'a.b' differs")
        ]
        assert await problems(replace(live, chain=b"another")) == [
            Problem("state 's'", "in memory it is at revision 2 of another log, and here at 2")
        ]


def _changes() -> list[Put]:
    return [Put(("a", "b"), encode("flipped"))]


class Meanwhile:
    """Reads, and has the state deleted right after it was listed."""

    def __init__(self, reading: Reading, daemon: Daemon, after: str) -> None:
        self._reading = reading
        self._daemon = daemon
        self._after = after

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of it
        method = getattr(self._reading, name)

        async def call(*args: object) -> object:
            found = await method(*args)
            if (name == "list_logs" and self._after == name) or (name == "list_records" and args[0] == self._after):
                assert not isinstance(await self._daemon.do(DeleteState(StateRef("s"), Author())), Refused)
            return found

        return call


@pytest.mark.parametrize("after", ["list_logs", "state", "snapshot"])
async def test_what_is_deleted_meanwhile_is_no_problem(tmp_path: Path, after: str) -> None:
    async with running(tmp_path) as daemon:
        assert not isinstance(await daemon.do(set_to("x")), Refused)
        assert not isinstance(await daemon.do(TakeSnapshot(StateRef("s"), Author(), "id", None, None, 1)), Refused)
        async with daemon.store.aside() as reading:
            beside: Any = Meanwhile(reading, daemon, after)
            findings, _ = await verify(beside, {}, "")
        assert findings.problems == []
        assert findings.states == 1


@pytest.mark.parametrize("place", ["nonsense", "nonsense:1", "logs:x:s", "records:nonsense:a"])
async def test_a_place_of_somebody_else_is_refused_or_the_end(tmp_path: Path, place: str) -> None:
    async with running(tmp_path) as daemon:
        if place.startswith("records"):
            assert (await daemon.authority.verify(place))[1] == ""
            return
        with pytest.raises(InvalidArgumentError, match="page_token"):
            await daemon.authority.verify(place)
