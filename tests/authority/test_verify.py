"""Verification against what a daemon has in memory, and its places."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.authority import test_indexing as index
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority.commands.retention import SetRetention
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
from lastgood_daemon.engine.retention import Retention
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


@pytest.mark.parametrize("poison", [b"\xc1", b"\xa2\xff\xff", b"\x92\x01", b"\xc7\x01\x05a"])
async def test_a_value_that_no_reader_can_read_is_found(tmp_path: Path, poison: bytes) -> None:
    """Its checksums hold: it was written like that."""
    async with running(tmp_path) as daemon:
        edits = (("set", Set(("l",), poison)),)
        assert not isinstance(await daemon.do(Write(StateRef("s"), Author(), Precondition(), edits, 1)), Refused)
        assert not isinstance(await daemon.do(TakeSnapshot(StateRef("t"), Author(), "id", None, poison, 1)), Refused)
        (in_log, in_record), _ = (await daemon.authority.verify(""))[0].problems, None
        assert in_log.where == "state 's'"
        assert in_log.what.startswith("revision 1 has a value that cannot be read: ")
        assert in_record.where == "snapshot 'id' of state 't'"
        assert in_record.what.startswith("has a value that cannot be read: ")


async def test_a_content_that_no_reader_can_read_is_found_where_the_log_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        for edit in (Set(("k",), b"\xc1"), Set(("x",), encode(1)), Set(("x",), encode(2))):
            await daemon.do(Write(StateRef("s"), Author(), Precondition(), (("set", edit),), 1))
        await daemon.do(SetRetention("s", Retention(revisions=1), 1))
        await daemon.authority.housekeeper.keep("s")
        problems = (await daemon.authority.verify(""))[0].problems
        assert any("the content of revision 3 cannot be read" in each.what for each in problems), problems


INDEX = Problem(
    "state 's'",
    "the index of its paths is not what its log says: histories may lack revisions. The log is whole: a daemon that is asked"
    " to verify makes another index of it",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM places WHERE revision = 991",
        "UPDATE places SET revision = 990 WHERE revision = 991",
        "UPDATE places SET revision = 5000 WHERE revision = 991",
        "UPDATE places SET place = place + 1 WHERE revision = 991",
        "UPDATE places SET exact = 3 WHERE revision = 991",
        "UPDATE places SET number = 7 WHERE revision = 991",
        "UPDATE indexes SET indexed = indexed + 3",
        "UPDATE indexes SET indexed = 5000",
        "INSERT INTO places SELECT number, place, exact, 989 FROM places WHERE revision = 991",
    ],
)
async def test_the_index_of_places_is_held_against_its_log(tmp_path: Path, damage: str) -> None:
    async with running(tmp_path) as daemon:
        await index.write(daemon, 1, 1020)
        await daemon.authority.background.idle()
        await index.write(daemon, 1021, 1030)
        assert (await daemon.authority.verify(""))[0].problems == []
        expected = await index.listed(daemon, 300)
    connection = apsw.Connection(str(tmp_path / "lastgood.db"))
    connection.execute(damage)
    connection.close()
    async with running(tmp_path) as daemon:
        async with daemon.store.aside() as reading:
            assert (await verify(reading, {}, ""))[0].problems == [INDEX]
        assert (await daemon.authority.verify(""))[0].problems == [INDEX]
        await daemon.authority.background.idle()
        assert (await daemon.authority.verify(""))[0].problems == [], "another index was made"
        assert await index.listed(daemon, 300) == expected


async def test_an_index_may_have_what_is_not_kept_any_more(tmp_path: Path) -> None:
    """A floor that rises leaves an index as it is where a pin below it stays the oldest."""
    async with running(tmp_path) as daemon:
        await index.write(daemon, 1, 3)
        await daemon.do(TakeSnapshot(StateRef("s"), Author(), "id", None, None, 1))
        await index.write(daemon, 4, 1500)
        for kept in (900, 600, 300):
            await daemon.authority.background.idle()
            await daemon.do(SetRetention("s", Retention(revisions=kept), 1))
            await daemon.authority.housekeeper.keep("s")
            await index.listed(daemon, 3)
            assert (await daemon.authority.verify(""))[0].problems == [], kept
            await index.write(daemon, 1501, 2100)
        connection = apsw.Connection(str(tmp_path / "lastgood.db"))
        ((stale,),) = connection.execute("SELECT count(*) FROM places WHERE revision < 1500").fetchall()
        connection.close()
        assert stale


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("an image", "INSERT INTO images VALUES (77, 1, 0, 1, x'', x'')"),
        ("an index", "INSERT INTO indexes (log, indexed) VALUES (77, 5)"),
    ],
)
async def test_what_belongs_to_no_log_is_found(tmp_path: Path, what: str, statement: str) -> None:
    """The next log to be made would find it under its number."""
    async with running(tmp_path) as daemon:
        connection = apsw.Connection(str(tmp_path / "lastgood.db"))
        connection.execute(statement)
        connection.close()
        found, _ = await daemon.authority.verify("")
        assert found.problems == [Problem("the storage", f"there is {what} of log number 77, and no such log")]


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
