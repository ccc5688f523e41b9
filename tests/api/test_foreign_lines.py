"""Lines that are no export, or one that somebody has changed: each is named, and leaves nothing."""

import json
from typing import Any

import pytest
from tests.api.transfers import exported

from lastgood import (
    Client,
    InvalidArgumentError,
    Retention,
    SharedState,
)


async def test_what_gives_no_lines(client: Client, state_id: str) -> None:
    for given in ("a text", 5, None):
        with pytest.raises(InvalidArgumentError, match="must be an iterable of lines"):
            await client.import_state(state_id, given)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="must yield str, got bytes"):
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
        ([*lines[:2], changed(lines[2], tree={**tree, "changed": 8}), *lines[3:]], "line 3: the content is not"),
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
