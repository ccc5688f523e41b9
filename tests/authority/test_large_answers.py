"""Answers that take long are made beside the event loop, whatever they are about; others are answered meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from tests.authority.at_work import Daemon, running
from tests.support.grpcurl import MODULES, of

from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.memory import IDLE
from lastgood_daemon.authority.outcomes import Refused, Written
from lastgood_daemon.authority.targets import StateRef, find_state
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.encoded import joined
from lastgood_daemon.engine.labour import working
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.rpc import dispatch, responses
from lastgood_daemon.rpc.authorize import Principal
from lastgood_daemon.rpc.dispatch import Caller, Dispatcher, Long, Slow
from lastgood_daemon.rpc.operations import Edge
from lastgood_daemon.rpc.pages import gather
from lastgood_daemon.rpc.responses import Headers
from lastgood_daemon.rpc.unary import operation_name
from lastgood_proto.v1 import history_pb2
from lastgood_proto.v1.common_pb2 import Value
from lastgood_proto.v1.server_pb2 import ServerInfo
from lastgood_proto.values import encode

KEYS = 3_000
PATHS = [f"m.k{number}" for number in range(200)]


async def written(daemon: Daemon, path: str, value: object) -> None:
    edit = Set(tuple(path.split(".")), encode(value))
    outcome = await daemon.do(Write(StateRef("s"), Author(), Precondition(), (("set", edit),), 1))
    assert isinstance(outcome, Written)


async def asked(daemon: Daemon, method: str, **request: object) -> Message | list[bytes] | Refused:
    """Ask as the edge does; a large answer is the pieces of its encoding."""
    service, name = method.split(".")
    message = ParseDict(request, getattr(MODULES[service][0], f"{name}Request")())
    dispatcher = Dispatcher(Edge(daemon.authority, Headers("id", "copy"), ServerInfo(), None))
    translated = dispatcher.translate(operation_name(name), message, Principal("tester"))
    answered: asyncio.Future[Message | Slow | Refused] = asyncio.get_running_loop().create_future()
    dispatcher.perform(translated, Caller(None, None), answered.set_result)
    answer = await answered
    found = await answer.find() if isinstance(answer, Slow) else answer
    return await dispatcher.encoded(found) if isinstance(found, Long) else found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("State.Read", {"path": "m"}),
        ("State.Read", {"path": "m.k1", "pending": [{"path": path, "set": {"json": "1"}} for path in PATHS]}),
        ("State.ListKeys", {"path": "m"}),
        ("History.Diff", {"old": {"revision": 1}}),
        ("History.Diff", {"old": {"content": {"json": '{"m": {}}'}}, "new": {"revision": 1}}),
        ("History.Preview", {"target": {"revision": 1}}),
        ("History.Preview", {"target": {"revision": 1}, "paths": PATHS}),
        ("History.ListSnapshots", {}),
    ],
)
async def test_others_are_answered_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, request_: dict[str, Any]
) -> None:
    beside, go_on = threading.Event(), threading.Event()

    def held(work: Callable[[], object]) -> object:
        assert threading.current_thread() is not threading.main_thread()
        beside.set()
        assert go_on.wait(20)
        return working(work)

    async with running(tmp_path) as daemon:
        for more in (0, 1):
            await written(daemon, "m", {f"k{number}": [number + more] for number in range(KEYS)})
        await written(daemon, "m.k0", "so that it is opened")
        if method == "History.ListSnapshots":
            for number in range(1_001):
                await daemon.do(TakeSnapshot(StateRef("s"), Author(), f"s{number}", None, None, 1))
        monkeypatch.setattr(dispatch, "working", held)
        answered = asyncio.create_task(asked(daemon, method, state=of("s"), **request_))
        try:
            assert await asyncio.to_thread(beside.wait, 20)
            await written(daemon, "other", 1)
            assert isinstance(await asked(daemon, "State.Read", state=of("s"), path="other"), Message)
            assert not answered.done()
        finally:
            go_on.set()
        assert isinstance(await answered, list)


async def test_small_answers_need_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "working", None)
    async with running(tmp_path) as daemon:
        for more in (0, 1):
            await written(daemon, "m", {f"k{number}": number + more for number in range(100)})
        requests: dict[str, dict[str, Any]] = {
            "State.Read": {"path": "m"},
            "State.ListKeys": {"path": "m"},
            "History.Diff": {"old": {"revision": 1}},
            "History.Preview": {"target": {"revision": 1}},
        }
        for method, request in requests.items():
            assert isinstance(await asked(daemon, method, state=of("s"), **request), Message)


LARGE = {
    "text": "x" * 600_000,
    "small": 1,
    "list": ["y" * 100_000, *range(300_000)],
    "map": {f"k{number}": number for number in range(30_000)},
}


async def written_large(daemon: Daemon) -> Node:
    """A state with large values, one of which has been written into; what is at the path "m.text"."""
    await written(daemon, "m", 0)
    await written(daemon, "m", LARGE)
    await written(daemon, "m.list.0", {"z": "z"})
    text = (await daemon.authority.ask(lambda reader: find_state(reader, StateRef("s")))).tree.find(("m", "text"))
    assert text is not None
    return text


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("State.Read", {"path": "m"}),
        ("State.Read", {"path": "m", "at": {"revision": 2}}),
        ("State.Read", {"path": "m", "value_format": "VALUE_FORMAT_JSON"}),
        ("History.Diff", {"old": {"revision": 1}}),
        ("History.Preview", {"target": {"revision": 1}}),
        ("History.ListHistory", {"path": "m", "newest_first": True}),
        ("History.ListHistory", {"after": {"revision": 1}}),
    ],
)
async def test_a_large_answer_is_what_one_message_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, request_: dict[str, Any]
) -> None:
    service, name = method.split(".")
    kind: type[Message] = getattr(MODULES[service][0], f"{name}Response")
    async with running(tmp_path) as daemon:
        await written_large(daemon)
        pieces = await asked(daemon, method, state=of("s"), **request_)
        monkeypatch.setattr(responses, "large", lambda whole: Value(msgpack=joined(whole)))
        expected = await asked(daemon, method, state=of("s"), **request_)
        assert isinstance(pieces, list)
        assert len(pieces) > 10
        assert isinstance(expected, list)
        assert len(expected) == 1
        assert kind.FromString(joined(pieces)) == kind.FromString(expected[0])


async def test_a_large_value_is_sent_as_it_lies_in_memory(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        text = await written_large(daemon)
        requests: dict[str, dict[str, Any]] = {"State.Read": {"path": "m"}, "History.Diff": {"old": {"revision": 1}}}
        for method, request in requests.items():
            pieces = await asked(daemon, method, state=of("s"), **request)
            assert isinstance(pieces, list)
            assert max(pieces, key=len) is text.encoded()


async def test_json_of_what_json_has_not_is_refused_with_its_path(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await written(daemon, "m", [*range(300_000), {"deep": b"bytes"}])
        refused = await asked(daemon, "State.Read", state=of("s"), path="m", value_format="VALUE_FORMAT_JSON")
        assert isinstance(refused, Refused)
        assert refused.metadata["path"] == "300000.deep"


async def test_only_the_first_page_is_tried_on_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        for more in (0, 1):
            await written(daemon, "m", {f"k{number}": number + more for number in range(20)})
        first = await asked(daemon, "History.Diff", state=of("s"), old={"revision": 1}, page_size=10)
        assert isinstance(first, history_pb2.DiffResponse)
        monkeypatch.setattr(dispatch, "bounded", None)
        token = first.next_page_token
        second = await asked(daemon, "History.Diff", state=of("s"), old={"revision": 1}, page_size=10, page_token=token)
        assert isinstance(second, list)
        found = history_pb2.DiffResponse.FromString(joined(second))
        assert [each.path for each in found.differences] == [f"m.k{number}" for number in range(10, 20)]


async def test_entries_of_a_history_are_made_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[threading.Thread] = []
    real = responses.history_entry

    def noted(*given: Any) -> Any:  # noqa: ANN401 - as it is
        made.append(threading.current_thread())
        return real(*given)

    monkeypatch.setattr(responses, "history_entry", noted)
    async with running(tmp_path) as daemon:
        await written(daemon, "m", 1)
        assert isinstance(await asked(daemon, "History.ListHistory", state=of("s")), history_pb2.ListHistoryResponse)
    assert made
    assert threading.main_thread() not in made


async def test_a_page_looks_for_one_item_more_than_it_has() -> None:
    found: list[int] = []

    async def items() -> AsyncIterator[int]:
        for number in range(1_000):
            found.append(number)
            yield number

    made, more = await gather(items(), 250, lambda number: Value(json=str(number)))
    assert (len(made), more, len(found)) == (250, True, 251)


async def test_what_an_answer_has_opened_is_let_go_of_when_it_is_idle(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await written(daemon, "m", {f"k{number}": number for number in range(30_000)})
        daemon.store.turned += IDLE
        assert not daemon.authority.drop_idle()
        assert isinstance(await asked(daemon, "State.ListKeys", state=of("s"), path="m"), list)
        daemon.store.turned += IDLE
        assert daemon.authority.drop_idle()
