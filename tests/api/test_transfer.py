"""Exporting a state with its history, and importing it: what comes out again is the same in every respect."""

import asyncio
import json
import math
import struct
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.support.daemons import DaemonProcess

import lastgood
import lastgood.sync
from lastgood import (
    Client,
    InvalidArgumentError,
    Retention,
    RevisionConflictError,
    RevisionUnavailableError,
    SharedState,
    StateExistsError,
    StateNotFoundError,
)
from lastgood_proto.values import encode

ODD_NAN = struct.unpack(">d", bytes.fromhex("fff8000000000123"))[0]
RICH: dict[str, Any] = {
    "none": None,
    "bools": [True, False, 1, 0, 1.0, -0.0],
    "ints": [-(2**63), 2**63 - 1, 2**53 + 1],
    "floats": [0.1, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 1e22],
    "texts": ["", 'é\u2028\x85\x00\n\r\t"\\', "\U0001f600", "$bytes"],
    "bytes": [b"", b"\x00\xff\xc1", b"x" * 1000],
    "times": [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 6, UTC)],
    "like": [{"$bytes": "AA=="}, {"$map": {"$map": 1}}, {"$msgpack": 1}, {"$redacted": {"digest": "", "value": 1}}],
    "order": {"z": 1, "a": 2, "m": {}},
    "a.b\\c": {"x.y": [[], {}]},
}


async def exported(client: Client, state_id: str) -> list[str]:
    return [line async for line in client.export_state(state_id)]


async def seen(state: SharedState) -> dict[str, Any]:
    """All that can be asked of a state, values by their bytes."""
    entries = await state.get_history()
    paths = {entry.path for entry in entries} | {"list.0", "rich.order", "rich.order.z", "gone"}
    return {
        "revision": await state.revision(),
        "contents": [encode(await state.get(at=entry.revision)) for entry in entries],
        "names": [list(await state.get(at=entry.revision)) for entry in entries],
        "history": [without_state(entry) for entry in entries],
        "of paths": {path: [without_state(each) for each in await state.get_history(path)] for path in sorted(paths)},
        "snapshots": [
            (each.snapshot_id, each.revision, each.label, each.metadata, each.created_at)
            for each in await state.list_snapshots()
        ],
        "lineage": await state.lineage(),
    }


def without_state(entry: lastgood.HistoryEntry) -> Any:  # noqa: ANN401 - a tuple of what is the same in another state
    source = entry.source and (entry.source.state_id, entry.source.revision)
    value = encode(entry.value) if entry.existed else b""
    who = (entry.agent_id, entry.attempt, entry.step)
    return entry.revision, entry.path, entry.operation, value, entry.existed, *who, entry.timestamp, source


async def enriched(client: Client, state: SharedState) -> None:
    """Do all that can be done to a state."""
    await state.set("rich", RICH)
    await state.set("odd", ODD_NAN)
    await state.update({"list": list(range(300)), "gone": {"x": 1}})
    await state.snapshot("first", metadata={"when": datetime(2026, 1, 1, tzinfo=UTC), "raw": b"\x00"})
    await client.state(state.state_id, agent_id="other").append("list", {"deep": [1]}, b"\x01")
    await state.set("list", [*range(1, 300), {"deep": [1]}, b"\x01"])
    await state.delete("gone")
    await state.set("rich", {**RICH, "none": 1})
    await state.set("rich", {**RICH, "none": 1})
    async with state.transaction() as tx:
        tx.set("a", 1)
        tx.delete("rich.order")
        tx.increment("count", 2)
    await state.merge({"rich": {"order": {"new": 1}}})
    await state.restore(3, paths=["gone", "rich.order"])
    await state.snapshot()
    await state.restore(2)
    await state.restore(4)
    workflow = client.workflow(state.state_id)
    async with workflow, workflow.step(0, agent_id="worker"):
        await workflow.state.set("by", "a step")


def of_the_log(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line.startswith('{"revision"')]


async def test_everything_comes_back_in_another_daemon(client: Client, elsewhere: Client, state: SharedState) -> None:
    await enriched(client, state)
    fork = await state.fork(f"{state.state_id}-fork", at=5)
    await fork.set("more", 1)
    for each in (state, fork):
        lines = await exported(client, each.state_id)
        assert await elsewhere.import_state(each.state_id, lines) == await each.revision()
        there = elsewhere.state(each.state_id, agent_id="tester")
        before = await seen(each)
        assert await seen(there) == before
        assert before["contents"][0] != before["contents"][-1]
        assert await exported(elsewhere, each.state_id) == lines
        assert each.state_id in await elsewhere.list_states()


async def test_it_goes_on_as_the_original_would(client: Client, elsewhere: Client, state: SharedState) -> None:
    await enriched(client, state)
    await elsewhere.import_state(state.state_id, await exported(client, state.state_id))
    there = elsewhere.state(state.state_id, agent_id="tester")
    for each in (state, there):
        changed = await each.revision()
        await each.set("rich.order.z", 9, expected={"rich.order": changed})
        with pytest.raises(RevisionConflictError):
            await each.set("rich.order.z", 9, expected={"rich.order": changed})
        with pytest.raises(RevisionConflictError):
            await each.set("other", 1, expected={"gone": 0})
        await each.set("never", 1, expected={"never": 0})
        await each.restore(6)
    assert encode(await there.get()) == encode(await state.get())
    assert await there.diff(3, 8) == await state.diff(3, 8)
    (first, *_) = await there.list_snapshots()
    await there.restore(first)
    assert await there.delete_snapshot(first)


async def test_the_format(client: Client, state: SharedState) -> None:
    await state.set("m", {"x": 1})
    await state.snapshot("s", metadata={"k": b"\x00"})
    header, revision, snapshot, end = [json.loads(line) for line in await exported(client, state.state_id)]
    (entry,), (taken,) = await state.get_history(), await state.list_snapshots()
    made = int(entry.timestamp.timestamp() * 1_000_000 + 0.5)
    assert header == {
        "lastgood_export": 1,
        "state_id": state.state_id,
        "incarnation": 1,
        "created_at": made,
        "origin": None,
        "head": 1,
        "chain": end["chain"],
    }
    change = {"put": "m", "value": {"x": 1}}
    assert revision == {
        "revision": 1,
        "timestamp": made,
        "agent_id": "tester",
        "workflow_id": "",
        "attempt": 0,
        "step": None,
        "edits": [{"operation": "set", "path": "m", "changes": [change]}],
    }
    assert snapshot["snapshot"]["snapshot_id"] == taken.snapshot_id
    assert snapshot["snapshot"]["metadata"] == {"k": {"$bytes": "AA=="}}
    assert (end["end"], end["revisions"]) == (True, 1)


async def test_5000_revisions(client: Client, elsewhere: Client, state: SharedState) -> None:
    await state.set("list", [])
    for number in range(50):
        async with state.transaction() as tx:
            tx.set(f"map.k{number % 7}", {"n": number})
        await asyncio.gather(*(state.append("list", number) for _ in range(99)))
    lines = await exported(client, state.state_id)
    assert len(lines) == 5_003
    assert await elsewhere.import_state(state.state_id, iter(lines), timeout=60.0) == 5_001
    there = elsewhere.state(state.state_id)
    for at in (1, 2_500, 4_999, 5_001):
        assert encode(await there.get(at=at)) == encode(await state.get(at=at))
    assert await exported(elsewhere, state.state_id) == lines


PATHS = ("m", "m.k0", "m.k1", "m.k2", "m.k3", "m.k0.n", "old", "old.a", "old.b", "old.b.0")


@pytest.mark.parametrize("pins", [(), (1,), (3, 4, 11)])
async def test_a_compacted_state(alone: Client, elsewhere: Client, state_id: str, pins: tuple[int, ...]) -> None:
    state = alone.state(state_id)
    for number in range(1, 21):
        old = {"old": {"a": 1, "b": [2]}} if number == 1 else {}
        revision = await state.update({f"m.k{number % 4}": {"n": number, "raw": b"\x00"}, **old})
        if revision in pins:
            await state.snapshot(str(revision))
        if number % 5 == 0:
            await state.delete("old.a" if number == 5 else f"m.k{number % 3}")
    await alone.set_retention(Retention(revisions=6), state_id)
    assert (await alone.compact(state_id)).revisions == 18 - len(pins)
    before = await seen_of_kept(state, pins)
    original = {path: await last_change(state, path) for path in PATHS}
    assert (original["old.a"], original["old.b"], original["old"]) == (6, 1, 6)
    lines = await exported(alone, state_id)
    kinds = [*["kept"] * len(pins), "floor", *["revision"] * 5, *["snapshot"] * len(pins), "end"]
    assert [next(iter(json.loads(line))) for line in lines[1:]] == kinds
    await elsewhere.import_state(state_id, lines)
    assert await seen_of_kept(elsewhere.state(state_id), pins) == before
    assert await exported(elsewhere, state_id) == lines
    # Back again, into a new life of it.
    await alone.delete_state(state_id)
    await alone.import_state(state_id, await exported(elsewhere, state_id))
    again = alone.state(state_id)
    assert await seen_of_kept(again, pins) == before
    # What was last changed before the floor is known, and so is what has gone there.
    changed_in = {path: await last_change(again, path) for path in PATHS}
    assert changed_in == original
    # And it can be compacted further.
    await alone.set_retention(Retention(revisions=2), state_id)
    assert (await alone.compact(state_id)).revisions == 4
    assert [encode(await again.get(at=at)) for at in pins] == before["contents"][: len(pins)]


async def last_change(state: SharedState, path: str) -> int | None:
    """The revision in which a path was last changed, as a refusal tells it."""
    with pytest.raises(RevisionConflictError) as refused:
        await state.set(path, 1, expected={path: 0})
    return refused.value.actual


async def seen_of_kept(state: SharedState, pins: tuple[int, ...]) -> dict[str, Any]:
    """All that can be asked of a state of which revisions 19 to 24 are left, and some that are pinned."""
    with pytest.raises(RevisionUnavailableError) as refused:
        await state.get(at=17)
    kept = (*pins, *range(19, 25))
    return {
        "contents": [encode(await state.get(at=at)) for at in kept],
        "names": [list(await state.get("m", at=at)) for at in kept],
        "history": [without_state(entry) for entry in await state.get_history()],
        "of a path": [without_state(entry) for entry in await state.get_history("m.k1")],
        "snapshots": [(each.snapshot_id, each.revision, each.created_at) for each in await state.list_snapshots()],
        "oldest": (refused.value.oldest, refused.value.newest),
    }


async def test_what_is_nested_as_deeply_as_can_be(client: Client, elsewhere: Client, state: SharedState) -> None:
    value: Any = 1
    for _ in range(60):
        value = {"x": [value]}
    path = ".".join(["p"] * 120)
    await state.set(path, value)
    await state.set("p", 1)
    await state.restore(1)
    lines = await exported(client, state.state_id)
    await elsewhere.import_state(state.state_id, lines)
    assert encode(await elsewhere.state(state.state_id).get(path)) == encode(value)
    assert await exported(elsewhere, state.state_id) == lines
    await client.set_retention(Retention(revisions=1), state.state_id)
    await client.compact(state.state_id)
    await elsewhere.delete_state(state.state_id)
    await elsewhere.import_state(state.state_id, await exported(client, state.state_id))
    assert encode(await elsewhere.state(state.state_id).get(path)) == encode(value)


async def test_a_line_that_travels_in_pieces(client: Client, elsewhere: Client, state: SharedState) -> None:
    large = "\x01" * 4 * 1024 * 1024  # each of them takes six characters
    await state.set("large", large)
    await state.set("small", 1)
    assert await elsewhere.import_state(state.state_id, client.export_state(state.state_id)) == 2
    assert await elsewhere.state(state.state_id).get("large") == large
    assert await elsewhere.state(state.state_id).get("small") == 1


async def test_nobody_sees_half_of_it(client: Client, elsewhere: Client, state: SharedState) -> None:
    await state.update({f"k{number}": "x" * 1000 for number in range(10)})
    for number in range(3000):
        await state.set("x", "x" * 1000 + str(number))
    lines = await exported(client, state.state_id)
    states = await elsewhere.list_states()
    looked = 0

    async def slowly() -> AsyncIterator[str]:
        nonlocal looked
        for number, line in enumerate(lines):
            if number % 500 == 499:
                assert await elsewhere.state(state.state_id).revision() == 0
                assert await elsewhere.list_states() == states
                looked += 1
            yield line

    assert await elsewhere.import_state(state.state_id, slowly()) == 3001
    assert looked == 6
    assert await elsewhere.list_states() == sorted([*states, state.state_id])


async def test_the_pages_are_of_one_moment(client: Client, elsewhere: Client, state: SharedState) -> None:
    for number in range(1500):
        await state.set("x", "x" * 1000 + str(number))
    lines = client.export_state(state.state_id)
    got = [await anext(lines)]
    await state.set("later", 1)
    await state.snapshot("later")
    got += [line async for line in lines]
    assert await elsewhere.import_state(state.state_id, got) == 1500
    assert await elsewhere.state(state.state_id).list_snapshots() == []
    assert not await elsewhere.state(state.state_id).exists("later")


async def test_what_is_there_already(client: Client, state: SharedState) -> None:
    await state.set("x", 1)
    lines = await exported(client, state.state_id)
    with pytest.raises(StateExistsError):
        await client.import_state(state.state_id, lines)
    snapshot = await state.snapshot()
    await client.delete_state(state.state_id)
    assert await client.import_state(state.state_id, lines) == 1
    again = client.state(state.state_id)
    assert await again.get("x") == 1
    assert await again.list_snapshots() == []
    with pytest.raises(StateNotFoundError):
        await state.get("x")
    await again.set("x", 2)
    assert await again.revision() == 2
    assert snapshot.revision == 1


async def test_somebody_writes_it_meanwhile(client: Client, state: SharedState, state_id: str) -> None:
    await state.set("x", "x" * 3_000_000)  # so that the import has begun by then
    lines = await exported(client, state.state_id)
    other = client.state(f"{state_id}-2")

    async def meanwhile() -> AsyncIterator[str]:
        for line in lines:
            yield line
        await other.set("mine", 1)

    with pytest.raises(StateExistsError):
        await client.import_state(other.state_id, meanwhile())
    assert await other.to_dict() == {"mine": 1}


async def test_only_snapshots(client: Client, elsewhere: Client, state: SharedState) -> None:
    await state.snapshot("nothing yet")
    assert await elsewhere.import_state(state.state_id, client.export_state(state.state_id)) == 0
    there = elsewhere.state(state.state_id)
    assert [taken.label for taken in await there.list_snapshots()] == ["nothing yet"]
    assert state.state_id not in await elsewhere.list_states()
    await there.set("x", 1)
    assert await there.revision() == 1


async def test_there_is_nothing_to_export(client: Client, state: SharedState) -> None:
    with pytest.raises(InvalidArgumentError, match="nobody has written"):
        await exported(client, state.state_id)
    await state.set("x", 1)
    await client.delete_state(state.state_id)
    with pytest.raises(StateNotFoundError):
        await exported(client, state.state_id)


async def test_what_gives_no_lines(client: Client, state_id: str) -> None:
    for given in ("a text", 5, None):
        with pytest.raises(InvalidArgumentError, match="one line after the other"):
            await client.import_state(state_id, given)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="not a bytes"):
        await client.import_state(state_id, [b"{}"])  # type: ignore[list-item]


def changed(line: str, **parts: Any) -> str:  # noqa: ANN401 - whatever JSON has
    return json.dumps({**json.loads(line), **parts})


def with_change(line: str, change: dict[str, Any]) -> str:
    document = json.loads(line)
    document["edits"][0]["changes"] = [change]
    return json.dumps(document)


BAD: dict[str, tuple[Any, str]] = {
    "nothing": (lambda _: [], "cut off"),
    "an empty line": (lambda _: [""], "cut off"),
    "no JSON": (lambda lines: ["hello", *lines], "line 1: Expecting value"),
    "no object": (lambda lines: ["[1]", *lines], "line 1: it is no JSON object"),
    "something else": (lambda lines: ['{"a": 1}', *lines], "line 1: it is not the first line of an export"),
    "without the header": (lambda lines: lines[1:], "line 1: it is not the first line of an export"),
    "a later format": (lambda lines: [changed(lines[0], lastgood_export=2), *lines[1:]], "line 1: .*format 2; .* format 1"),
    "another header": (lambda lines: [changed(lines[0], created_at=5), *lines[1:]], "line 6: .*digest"),
    "the header twice": (lambda lines: [lines[0], *lines], "line 2: it is no line of an export"),
    "cut off after a revision": (lambda lines: lines[:3], "line 4: .*cut off"),
    "cut off in a line": (lambda lines: [*lines[:3], lines[3][:40]], "line 4: "),
    "without the last line": (lambda lines: lines[:-1], "cut off"),
    "a revision is missing": (lambda lines: [*lines[:2], *lines[3:]], "line 3: revision 3 comes after revision 1"),
    "the first is missing": (lambda lines: [lines[0], *lines[2:]], "line 2: revision 2 comes after revision 0"),
    "the last revision is missing": (lambda lines: [*lines[:3], *lines[4:]], "line 4: .* revision 3, which is not in"),
    "another order": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2: revision 2 comes after"),
    "a revision twice": (lambda lines: [*lines[:2], *lines[1:]], "line 3: revision 1 comes after revision 1"),
    "a snapshot too early": (lambda lines: [lines[0], lines[4], *lines[1:]], "line 2: it is of revision 3"),
    "a snapshot is missing": (lambda lines: [*lines[:4], lines[5]], "line 5: .*digest"),
    "a snapshot twice": (lambda lines: [*lines[:5], *lines[4:]], "line 6: .*there twice"),
    "something after the end": (lambda lines: [*lines, lines[3]], "line 7: it comes after the last line"),
    "two exports": (lambda lines: [*lines, *lines], "line 7: it comes after the last line"),
    "another author": (lambda lines: [*lines[:2], changed(lines[2], agent_id="eve"), *lines[3:]], "line 6: .*chain"),
    "another time": (lambda lines: [lines[0], changed(lines[1], timestamp=5), *lines[2:]], "line 6: .*chain"),
    "back in time": (lambda lines: [*lines[:3], changed(lines[3], timestamp=5), *lines[4:]], "line 4: .*was made before"),
    "another value": (lambda lines: [*lines[:2], lines[2].replace("bbb", "bbc"), *lines[3:]], "line 6: .*chain"),
    "another end": (lambda lines: [*lines[:5], changed(lines[5], chain="00" * 16)], "line 6: .*chain"),
    "another count": (lambda lines: [*lines[:5], changed(lines[5], revisions=2)], "line 6: .*2 revisions, but 3"),
    "of another kind": (lambda lines: [lines[0], changed(lines[1], attempt="1"), *lines[2:]], "line 2: Expected `int`"),
    "a part is missing": (lambda lines: [lines[0], '{"revision": 1}', *lines[2:]], "line 2: Object missing"),
    "a part too many": (lambda lines: [lines[0], changed(lines[1], more=1), *lines[2:]], "line 2: .*unknown field `more`"),
    "no such change": (lambda lines: [lines[0], with_change(lines[1], {"put": "x"}), *lines[2:]], "line 2: a change is"),
    "removes the root": (lambda lines: [lines[0], with_change(lines[1], {"remove": ""}), *lines[2:]], "line 2: a change is"),
    "removes what is not there": (
        lambda lines: [lines[0], with_change(lines[1], {"remove": "q"}), *lines[2:]],
        "line 2: .*does not fit",
    ),
    "splices what is no list": (
        lambda lines: [lines[0], with_change(lines[1], {"splice": "", "index": 0, "removed": 0, "items": [1]}), *lines[2:]],
        "line 2: .*does not fit",
    ),
    "the root is a list": (
        lambda lines: [lines[0], with_change(lines[1], {"put": "", "value": [1]}), *lines[2:]],
        "line 2: the content of a state is a map",
    ),
    "a path that is none": (
        lambda lines: [lines[0], with_change(lines[1], {"put": "a..b", "value": 1}), *lines[2:]],
        "line 2: .*empty segment",
    ),
    "no value": (
        lambda lines: [lines[0], with_change(lines[1], {"put": "a", "value": {"$bytes": 5}}), *lines[2:]],
        "line 2: .*bytes",
    ),
    "a number that is too large": (
        lambda lines: [lines[0], with_change(lines[1], {"put": "a", "value": 2**70}), *lines[2:]],
        "line 2: .*64 bits",
    ),
    "half a character": (
        lambda lines: [lines[0], with_change(lines[1], {"put": "a", "value": "\ud800"}), *lines[2:]],
        "line 2: .*Unicode",
    ),
    "a name twice": (lambda lines: [lines[0], '{"revision": 1, "revision": 1}', *lines[2:]], "line 2: .*there twice"),
    "nan": (lambda lines: [lines[0], '{"revision": NaN}', *lines[2:]], "line 2: NaN is no JSON"),
}


@pytest.mark.parametrize("what", BAD)
async def test_what_does_not_fit_is_named_and_leaves_nothing(client: Client, state: SharedState, what: str) -> None:
    await state.set("x", "aaa")
    await state.set("x", "bbb")
    await state.set("y", ["ccc"])
    await state.snapshot("s")
    lines = await exported(client, state.state_id)
    break_, message = BAD[what]
    target = f"{state.state_id}-imported"
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        await client.import_state(target, break_(lines))
    assert refused.value.field == "lines"
    assert target not in await client.list_states()
    assert await client.state(target).revision() == 0
    assert await client.import_state(target, lines) == 3


async def test_kept_contents_that_do_not_fit(alone: Client) -> None:
    state = alone.state("trip")
    for number in range(10):
        await state.set("x", number)
        if number == 4:
            await state.snapshot()
    await alone.set_retention(Retention(revisions=2), "trip")
    await alone.compact()
    lines = await exported(alone, "trip")
    tree = json.loads(lines[2])["tree"]
    table: list[tuple[list[str], str]] = [
        ([lines[0], lines[2], lines[1], *lines[3:]], "line 3: a content that was kept comes before"),
        ([lines[0], lines[1], *lines[3:]], "line 3: the revision from which on"),
        ([lines[0], lines[2], *lines[3:]], "line 4: it is of revision 5"),
        ([lines[0], *lines[3:]], "line 2: revision 10 comes after revision 0"),
        ([*lines[:3], lines[2], *lines[3:]], "line 4: a content that was kept comes before"),
        ([lines[0], lines[1].replace('"x":4', '"x":5'), *lines[2:]], "line 6: .*digest"),
        ([lines[0], changed(lines[1], chain="00"), *lines[2:]], "line 2: a chain is 32"),
        ([lines[0], changed(lines[1], value=[]), *lines[2:]], "line 2: the content of a state is a map"),
        ([*lines[:2], changed(lines[2], chain="00" * 16), *lines[3:]], "line 6: .*chain"),
        ([*lines[:2], changed(lines[2], tree={**tree, "next": 0}), *lines[3:]], "line 3: the content is not"),
        ([*lines[:2], changed(lines[2], tree={**tree, "changed": 99}), *lines[3:]], "line 3: the content is not"),
        ([*lines[:2], changed(lines[2], tree={**tree, "changed": 8}), *lines[3:]], "line 6: .*digest"),
        ([*lines[:2], changed(lines[2], graves=[0, 0, []]), *lines[3:]], "line 3: the content is not"),
        ([*lines[:2], changed(lines[2], graves=[0, 1, {}]), *lines[3:]], "line 6: .*digest"),
    ]
    assert [line.partition(":")[0] for line in lines] == [
        '{"lastgood_export"', '{"kept"', '{"floor"', '{"revision"', '{"snapshot"', '{"end"',
    ]  # fmt: skip
    for broken, message in table:
        with pytest.raises(InvalidArgumentError, match=message):
            await alone.import_state("copy", broken)
    assert await alone.import_state("copy", lines) == 10
    assert await alone.list_states() == ["copy", "trip"]


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
    for number in range(2000):
        await alone.state("trip").set("x", number)
    lines = await exported(alone, "trip")
    with pytest.raises(InvalidArgumentError):
        await alone.import_state("copy", lines[:-1])
    assert stored(own_daemon.folder) == (1, 0)


async def test_a_crash_in_the_middle(alone: Client, own_daemon: DaemonProcess) -> None:
    """Nothing of it is to be seen, it can be done again, and what it has left goes by itself."""
    for number in range(3000):
        await alone.state("trip").set("x", "x" * 1000 + str(number))
    lines = await exported(alone, "trip")

    async def cut_off() -> AsyncIterator[str]:
        for number, line in enumerate(lines):
            if number == 2500:
                assert stored(own_daemon.folder) == (2, 1)
                own_daemon.kill()
                own_daemon.start()
            yield line

    with pytest.raises(InvalidArgumentError, match="import_id: the import was cut off"):
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
    for number in range(2000):
        await alone.state("trip").set("x", "x" * 1000 + str(number))
    lines = await exported(alone, "trip")

    async def slowly() -> AsyncIterator[str]:
        for number, line in enumerate(lines):
            if number == 1800:
                assert (await alone.compact()).copies == 0
            yield line

    assert await alone.import_state("copy", slowly()) == 2000


async def test_a_state_of_a_workflow_that_somebody_holds(client: Client, state: SharedState, state_id: str) -> None:
    await state.set("x", 1)
    lines = await exported(client, state.state_id)
    async with client.workflow(f"{state_id}-held"):
        with pytest.raises(lastgood.WorkflowBusyError):
            await client.import_state(f"{state_id}-held", lines)


def test_the_blocking_twin(daemon: DaemonProcess, state_id: str) -> None:
    with lastgood.sync.connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as client:
        client.state(state_id).set("x", [1, b"\x00"])
        lines = list(client.export_state(state_id))
        assert client.import_state(f"{state_id}-copy", lines) == 1
        assert client.state(f"{state_id}-copy").get("x") == [1, b"\x00"]
        with pytest.raises(InvalidArgumentError, match="one line after the other"):
            client.import_state(f"{state_id}-other", "text")


async def test_by_age_of_what_was_imported(alone: Client) -> None:
    """Its revisions are as old as they were."""
    state = alone.state("trip")
    await state.set("x", 1)
    (entry,) = await state.get_history()
    await alone.import_state("copy", await exported(alone, "trip"))
    (copied,) = await alone.state("copy").get_history()
    assert copied.timestamp == entry.timestamp
    assert await alone.state("copy").get("x", at=entry.timestamp) == 1
    assert await alone.state("copy").get("x", at=entry.timestamp - timedelta(seconds=1)) is None
