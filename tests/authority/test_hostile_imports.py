"""Imports that somebody has made up: refused with the name of the line, or as good as any other state.

What the last line says is put right again after each change, so that nothing is refused merely because of its hash.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.exporting import export_page
from lastgood_daemon.authority.importing import Piece
from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.redaction import Wanted
from lastgood_daemon.authority.replay import rebuilt
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.authority.verify import Problem
from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.portable.format import digest_after
from lastgood_daemon.engine.portable.intake import Intake
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import State
from lastgood_proto.jsonform import text_of
from lastgood_proto.texts import MAX_NAME_BYTES
from lastgood_proto.values import decode, encode

SECRET = "sk-live-0123456789"  # noqa: S105 - of nobody
Document = dict[str, Any]


async def write(daemon: Daemon, *edits: Edit) -> None:
    command = Write(StateRef("s"), Author("ann"), Precondition(), tuple(("set", edit) for edit in edits), 1)
    assert not isinstance(await daemon.do(command), Refused)


async def rich(daemon: Daemon) -> None:
    """A state with a redacted text in its history, of which not all is kept."""
    await write(daemon, Set(("a", "b"), encode({"key": SECRET, "n": 1})))
    await write(daemon, Set(("l",), encode([1, SECRET, {"x": [2]}])), Append(("l",), (encode(SECRET), encode(b"\x00"))))
    assert not isinstance(
        await daemon.do(TakeSnapshot(StateRef("s"), Author(), "first", SECRET, encode({"k": 1}), 1)), Refused
    )
    await write(daemon, Set(("a", "b", "key"), encode([SECRET] * 30)))
    await write(daemon, Delete(("a", "b", "n")))
    await write(daemon, Set(("a", "b", "key"), encode([SECRET] * 31)))
    await write(daemon, Delete(("l", "0")))
    assert not isinstance(await daemon.do(TakeSnapshot(StateRef("s"), Author(), "last", None, None, 1)), Refused)
    await daemon.authority.redaction.redact(Wanted(StateRef("s"), Author(), SECRET, "[redacted]", 1))


async def exported(daemon: Daemon, state_id: str = "s") -> list[Document]:
    data, token = b"", ""
    while True:
        page = await export_page(daemon.authority.loader, StateRef(state_id), token)
        data, token = data + page.data, page.next_token
        if not token:
            return [json.loads(line) for line in data.splitlines()]


async def take(daemon: Daemon, state_id: str, lines: list[Document]) -> None:
    text = b"".join(text_of(line, ascii_only=True).encode() + b"\n" for line in lines)
    await daemon.authority.importer.take(state_id, f"import of {state_id}", Piece(0, text, last=True), Author())


async def refused(daemon: Daemon, state_id: str, lines: list[Document]) -> InvalidArgumentError | None:
    try:
        await take(daemon, state_id, lines)
    except InvalidArgumentError as refusal:
        return refusal
    return None


def sealed(lines: list[Document]) -> list[Document]:
    """Have the first and the last line say what all lines come to; as they are where they come to nothing."""
    header, *middle, end = json.loads(json.dumps(lines))
    intake = Intake(State("s"))
    digest = ""
    try:
        for line in (header, *middle):
            intake.take(text_of(line, ascii_only=True).encode())
        header["chain"] = end["chain"] = intake.state.chain.hex()
        header["head"] = intake.state.revision
        for line in (header, *middle):
            digest = digest if "revision" in line else digest_after(digest, line)
        end["digest"] = digest
        end["revisions"] = sum("revision" in line for line in middle)
    except (InvalidArgumentError, TypeError, AttributeError, KeyError):
        return lines
    return [header, *middle, end]


async def problems(daemon: Daemon) -> list[Problem]:
    place, found = "", []
    while True:
        findings, place = await _verify(daemon, place)
        found += findings
        if not place:
            return found


async def _verify(daemon: Daemon, place: str) -> tuple[list[Problem], str]:
    findings, place = await daemon.authority.verify(place)
    return findings.problems, place


async def read(daemon: Daemon, state_id: str) -> None:
    """Read all that there is of a state."""
    state = await daemon.authority.ask(lambda reader: reader.state(state_id))
    for revision in range(1, state.revision + 1):
        if state.kept.has(revision):
            decode((await rebuilt(daemon.store, state.point(revision))).state.tree.root.encoded())
    for taken in state.snapshots_in_order():
        assert taken.metadata is None or isinstance(decode(taken.metadata), dict)
    await exported(daemon, state_id)


@pytest.mark.parametrize("kept", [0, 5])
async def test_a_redacted_state_comes_back_as_it_is(tmp_path: Path, kept: int) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with running(tmp_path / "one") as daemon, running(tmp_path / "two") as other:
        await rich(daemon)
        if kept:
            await daemon.do(SetRetention("s", Retention(revisions=kept), 1))
            await daemon.authority.housekeeper.keep("s")
        lines = await exported(daemon)
        assert "$redacted" in json.dumps(lines)
        assert SECRET not in json.dumps(lines)
        await take(other, "s", lines)
        assert await exported(other) == lines
        await read(other, "s")
        assert await problems(other) == await problems(daemon) == []
    async with running(tmp_path / "two") as other:
        await read(other, "s")
        assert await problems(other) == []


DIGEST = "00" * 16
GARBAGE: list[Any] = [
    None, True, -1, 2**53, 2**64, 10**400, 1.5, "", "x", "\ud800", "a..b", "x" * (MAX_NAME_BYTES + 1), [], {}, [[]], {"": 1},
    {"$redacted": {"digest": DIGEST, "value": 1}},
    {"$redacted": {"digest": DIGEST, "value": {"$redacted": {"digest": DIGEST, "value": 1}}}},
    {"$redacted": {"digest": "", "value": 1}},
    {"$msgpack": "wQ=="},
    {"$msgpack": "xwEFYQ=="},
    {"state_id": "s", "incarnation": 1, "revision": 1},
    {"state_id": "", "incarnation": -1, "revision": 10**30},
    ".".join(["p"] * 129),
]  # fmt: skip


def places(part: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - whatever JSON can say
    """Every place in a document, the document itself included."""
    below = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [at, *(place for key, child in below for place in places(child, (*at, key)))]


def changed(lines: list[Document], place: tuple[Any, ...], garbage: Any) -> list[Document]:  # noqa: ANN401 - likewise
    """The lines with garbage in one place."""
    copy = json.loads(json.dumps(lines))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = garbage
    return list(copy)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 5])
async def test_garbage_in_every_place_is_refused_by_name_or_can_be_read(tmp_path: Path, kept: int) -> None:
    draw = random.Random(kept)
    async with running(tmp_path) as daemon:
        await rich(daemon)
        if kept:
            await daemon.do(SetRetention("s", Retention(revisions=kept), 1))
            await daemon.authority.housekeeper.keep("s")
        lines = await exported(daemon)
        accepted: list[str] = []
        for number, place in enumerate(places(lines)[1:]):
            garbage = draw.choice(GARBAGE)
            refusal = await refused(daemon, str(number), sealed(changed(lines, place, garbage)))
            if refusal is not None:
                assert refusal.message.startswith("lines must be those of an export; line "), (place, garbage)
                assert len(refusal.message) < 1000, (place, garbage)
            else:
                accepted.append(str(number))
                await read(daemon, str(number))
        assert len(accepted) > 10
        assert await problems(daemon) == []


@pytest.mark.parametrize(
    ("place", "garbage", "problem"),
    [
        ((0, "origin"), {"state_id": "", "incarnation": 1, "revision": 1}, "the origin is a state_id"),
        ((0, "origin"), {"state_id": "s", "incarnation": 2**70, "revision": 1}, "the origin is a state_id"),
        (
            (0, "origin"),
            {"state_id": "x" * 1025, "incarnation": 1, "revision": 1},
            "the state_id of the origin has 1025 bytes",
        ),
        ((0, "lastgood_export"), 2, "this daemon reads format 1"),
        ((0, "head"), -1, r"Expected `int` >= 0 - at `\$.head`"),
        ((1, "agent_id"), "x" * 1025, "agent_id has 1025 bytes; the limit is 1024"),
        ((1, "agent_id"), "\ud800", "agent_id is not valid Unicode"),
        ((1, "step"), 2**53, "step"),
        ((1, "edits", 0, "operation"), "", "the operation of an edit is empty"),
        ((1, "edits", 0, "path"), "a..b", "empty segment"),
        (
            (1, "edits", 0, "changes", 0, "value"),
            {"$redacted": {"digest": "00", "value": 1}},
            "the digest of a redacted value",
        ),
        ((1, "edits", 0, "changes", 0, "value"), 2**63, "an int beyond signed 64 bits"),
        ((-3, "snapshot", "label"), "x" * 1025, "the label of a snapshot has 1025 bytes"),
        ((-3, "snapshot", "metadata"), {"$redacted": {"digest": DIGEST, "value": {}}}, "only in the changes of a revision"),
        ((-1, "chain"), "00" * 16, "their chain is another"),
        ((-1, "digest"), "00" * 16, "their digest is another"),
    ],
)
async def test_what_is_refused_is_named(tmp_path: Path, place: tuple[Any, ...], garbage: object, problem: str) -> None:
    async with running(tmp_path) as daemon:
        await rich(daemon)
        with pytest.raises(InvalidArgumentError, match=problem):
            await take(daemon, "other", changed(await exported(daemon), place, garbage))


async def test_states_that_are_forks_of_each_other(tmp_path: Path) -> None:
    """Where a fork came from is a name, which nothing follows."""
    async with running(tmp_path) as daemon:
        await rich(daemon)
        lines = await exported(daemon)
        for name, origin in (("one", "two"), ("two", "one"), ("three", "three")):
            point = {"state_id": origin, "incarnation": 1, "revision": 1}
            await take(daemon, name, sealed(changed(lines, (0, "origin"), point)))
            await read(daemon, name)
        assert await problems(daemon) == []
