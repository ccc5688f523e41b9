"""Pages: together they are the whole answer of the moment of the first, whatever happens in between."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grpc import StatusCode
from tests.support.daemons import DaemonProcess
from tests.support.grpcurl import Grpcurl, into, of

KEYS = [f"k{number}" for number in range(10)]

COMPARED: dict[str, tuple[str, dict[str, Any], str]] = {
    "diff": ("History.Diff", {"old": {"revision": 1}}, "differences"),
    "diff, by time": ("History.Diff", {"old": {"revision": 1}, "new": {"time": "2200-01-01T00:00:00Z"}}, "differences"),
    "diff, content": ("History.Diff", {"old": {"content": {"json": '{"m": {"k3": 7}, "z": 1}'}}}, "differences"),
    "preview": ("History.Preview", {"target": {"revision": 1}}, "differences"),
    "preview of paths": ("History.Preview", {"target": {"revision": 1}, "paths": ["m", "new"]}, "differences"),
    "keys": ("State.ListKeys", {"path": "m"}, "keys"),
    "keys of a list": ("State.ListKeys", {"path": "l"}, "keys"),
    "keys, by time": ("State.ListKeys", {"path": "m", "at": {"time": "2200-01-01T00:00:00Z"}}, "keys"),
}


async def filled(call: Grpcurl, state_id: str) -> None:
    """Two revisions that differ at many places, in more than one map."""
    for more in (0, 1):
        value = ", ".join(f'"{key}": {number + more}' for number, key in enumerate(KEYS))
        content = f'{{"m": {{{value}}}, "l": [1, 2, 3, {more}], "deep": {{"er": {{{value}}}}}}}'
        await call("State.Set", context=into(state_id), path="", value={"json": content})
    await call("State.Set", context=into(state_id), path="new", value={"json": "1"})


def written(number: int) -> list[dict[str, Any]]:
    """What a writer does between two pages: what is compared changes, comes and goes."""
    return [
        {"path": f"m.k{number % 10}", "set": {"json": f'"{number}"'}},
        {"path": f"m.a{number}", "set": {"json": "1"}},
        {"path": "deep.er.k9" if number == 2 else f"deep.er.k{number % 8}", "delete": {}},
        {"path": "l", "set": {"json": "[]"}},
    ]


@pytest.mark.parametrize("name", COMPARED)
async def test_pages_while_others_write(call: Grpcurl, state_id: str, name: str) -> None:
    method, request, field = COMPARED[name]
    await filled(call, state_id)
    expected = list(getattr(await call(method, state=of(state_id), **request), field))
    assert len(expected) > 3
    found: list[Any] = []
    token, number = "", 0
    while token or not number:
        page = await call(method, state=of(state_id), page_size=3, page_token=token, **request)
        assert len(getattr(page, field)) == 3 or not page.next_page_token
        found += getattr(page, field)
        token, number = page.next_page_token, number + 1
        with_deletions = [edit for edit in written(number) if number == 1 or "delete" not in edit]
        await call("State.Transact", context=into(state_id), edits=with_deletions)
    assert found == expected


@pytest.mark.parametrize("name", COMPARED)
async def test_pages_go_on_after_a_restart(own_daemon: DaemonProcess, state_id: str, name: str) -> None:
    method, request, field = COMPARED[name]
    call = Grpcurl(own_daemon.address)
    await filled(call, state_id)
    expected = list(getattr(await call(method, state=of(state_id), **request), field))
    first = await call(method, state=of(state_id), page_size=3, **request)
    await call("State.Set", context=into(state_id), path="m", value={"json": "{}"})
    await call.close()
    own_daemon.kill()
    own_daemon.start()
    call = Grpcurl(own_daemon.address)
    rest = await call(method, state=of(state_id), page_token=first.next_page_token, **request)
    await call.close()
    assert [*getattr(first, field), *getattr(rest, field)] == expected


async def test_pages_of_a_state_that_was_made_anew(call: Grpcurl, state_id: str) -> None:
    await filled(call, state_id)
    page = await call("History.Diff", state=of(state_id), old={"revision": 1}, page_size=3)
    await call("State.DeleteState", state=of(state_id))
    await filled(call, state_id)
    again = {"state": of(state_id), "old": {"revision": 1}, "page_token": page.next_page_token}
    assert (await call.refused("History.Diff", **again))[1] == "STATE_NOT_FOUND"


def lists(wf: str) -> dict[str, tuple[dict[str, Any], str]]:
    return {
        "Checkpoint.ListCheckpoints": ({"workflow_id": wf}, "checkpoints"),
        "Workflow.ListAttempts": ({"workflow_id": wf}, "attempts"),
        "Workflow.ListEffects": ({"workflow_id": wf}, "effects"),
        "History.ListSnapshots": ({"state": of(wf)}, "snapshots"),
    }


async def one_more(call: Grpcurl, wf: str, number: int) -> None:
    """One more of each, behind those that are there."""
    attempt = (await call("Workflow.Resume", workflow_id=wf)).attempt
    context = {"fence": {"workflow_id": wf, "attempt": attempt}}
    await call("Workflow.BeginStep", workflow_id=wf, step=number, context=context)
    for key in ("a", "b"):
        effect = {"workflow_id": wf, "step": number, "key": key, "context": context}
        await call("Workflow.ClaimEffect", **effect)
        await call("Workflow.RecordEffect", result={"json": "1"}, **effect)
    await call("Workflow.CompleteStep", workflow_id=wf, step=number, context=context)
    await call("History.CreateSnapshot", state=of(wf))


@pytest.mark.parametrize("method", lists(""))
async def test_pages_of_lists_that_grow(call: Grpcurl, state_id: str, method: str) -> None:
    for number in range(4):
        await one_more(call, state_id, number)
    request, field = lists(state_id)[method]
    found: list[Any] = []
    page, number = await call(method, page_size=2, **request), 4
    while page.next_page_token:
        found += getattr(page, field)
        if number < 6:
            await one_more(call, state_id, number)
        number += 1
        page = await call(method, page_size=2, page_token=page.next_page_token, **request)
    found += getattr(page, field)
    assert found == list(getattr(await call(method, **request), field))
    assert len(found) >= 6


def garbage() -> Iterator[tuple[str, dict[str, Any], str]]:
    for token in ("x", "1:2", "[]", "{}", "[null,null]", '[null,null,["no","where"]]', '[null,null,["m"],1]', '["s",1,1]'):
        for method, request, _ in COMPARED.values():
            yield method, {"state": of("s"), **request}, token
    for token in ("x", "-1", "1:", "1:2:3", "[1]", "\u0661", "9" * 30):
        for method, (request, _) in lists("s").items():
            yield method, request, token


async def test_what_is_no_token(call: Grpcurl) -> None:
    await filled(call, "s")
    for method, request, token in garbage():
        code, reason, told = await call.refused(method, page_token=token, **request)
        assert (code, reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"), (method, token)
        assert told["field"] == "page_token"


async def test_what_very_many_paths_come_to_is_told_in_few_pages(call: Grpcurl, state_id: str) -> None:
    names = [f"k{number}" for number in range(6_000)]
    for value in (1, 2):
        content = json.dumps({"m": dict.fromkeys(names, value)})
        await call("State.Set", context=into(state_id), path="", value={"json": content})
    request = {"target": {"revision": 1}, "paths": [f"m.{name}" for name in names]}
    found, token, pages = 0, "", 0
    while token or not pages:
        page = await call("History.Preview", state=of(state_id), page_token=token, **request)
        found, token, pages = found + len(page.differences), page.next_page_token, pages + 1
    assert (found, pages) == (6_000, 4)
