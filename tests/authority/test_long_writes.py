"""A write of very many parts is worked out beside the event loop, and others go on meanwhile."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from tests.authority.at_work import claim, running, told

from lastgood_daemon.authority import loader
from lastgood_daemon.authority.commands.leases import Renew
from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.commands.snapshots import DropSnapshot, TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Done, Outcome, Refused, SnapshotTaken, Written
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.targets import Content, StateRef
from lastgood_daemon.engine import applying, edits, graves, node
from lastgood_daemon.engine.edits import Append, Delete, Edit, Increment, Merge, Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.state import Plan, Snapshot, plan
from lastgood_daemon.engine.tree import Tree
from lastgood_daemon.store.protocol import Record
from lastgood_proto.paths import Path as Place
from lastgood_proto.values import encode

PARTS = 300
WITHIN = 30.0


ANN = Author("ann")

P = ParamSpec("P")
R = TypeVar("R")


def small(state_id: str = "wf", author: Author = ANN) -> Write:
    return Write(StateRef(state_id), author, Precondition(), (("set", Set(("n",), encode(1))),), 1)


def large(*, first: int = 0, author: Author = ANN, since: int | None = None) -> Write:
    """An update of many paths; ``since``: the revision since which they must not have changed."""
    edits = tuple(("update", Set(("m", f"k{n}"), encode(first + n))) for n in range(PARTS))
    expected: dict[Place, int] = {} if since is None else {("m", f"k{n}"): since for n in range(PARTS)}
    return Write(StateRef("wf"), author, Precondition(None, expected), edits, 1)


class Gate:
    """Lets what is being worked out through, one after the other."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self._arrived = threading.Semaphore(0)
        self._open = threading.Semaphore(0)

    def pass_through(self) -> None:
        self.threads.append(threading.current_thread().name)
        self._arrived.release()
        assert self._open.acquire(timeout=WITHIN)

    async def reached(self) -> None:
        """Wait until something is being worked out, and stands still."""
        assert await asyncio.to_thread(self._arrived.acquire, timeout=WITHIN)

    def let_pass(self) -> None:
        self._open.release()


@contextmanager
def gated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Stop each large plan until it is let through; whatever is short goes on."""
    gate = Gate()

    def stopped(tree: Tree, edits: Sequence[tuple[str, Edit]]) -> Plan:
        if len(edits) == PARTS and threading.current_thread() is not threading.main_thread():
            gate.pass_through()
        return plan(tree, edits)

    with monkeypatch.context() as patched:
        patched.setattr("lastgood_daemon.authority.commands.write.plan", stopped)
        yield gate


def revision(outcome: Outcome) -> int:
    assert isinstance(outcome, Written), outcome
    return outcome.point.revision


async def test_others_write_while_a_large_write_is_worked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        with gated(monkeypatch) as gate:
            answer = daemon.ask(large())
            await gate.reached()
            assert revision(await daemon.do(small("other"))) == 1
            assert revision(await daemon.do(small())) == 1, "into the same state, too"
            gate.let_pass()
            await gate.reached()
            gate.let_pass()
            assert revision(await told(answer)) == 2
            assert len(gate.threads) == 2


async def test_a_large_write_is_worked_out_twice_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time, those who would write into the same state wait; nobody else does, and nobody loses a lease by it."""
    async with running(tmp_path) as daemon:
        await daemon.ask(claim("ann"))
        author = Author("ann", "wf", 1)
        session = await daemon.authority.open_session("")
        with gated(monkeypatch) as gate:
            answer = daemon.ask(large(author=author), Identity(session, 1))
            await gate.reached()
            behind = daemon.ask(small(author=author))
            first = revision(await told(behind))
            gate.let_pass()
            await gate.reached()
            waiting = daemon.ask(small(author=author))
            assert revision(await daemon.do(small("other"))) == 1
            renewed = await told(daemon.ask(Renew("wf", author), Identity(session, 2)))
            assert isinstance(renewed, Done), "though its session waits"
            assert not waiting.done()
            gate.let_pass()
            assert revision(await told(answer)) == first + 1
            assert revision(await told(waiting)) == first + 2


async def test_what_is_behind_it_in_its_session_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        session = await daemon.authority.open_session("")
        with gated(monkeypatch) as gate:
            answer = daemon.ask(large(), Identity(session, 1))
            behind = daemon.ask(small(), Identity(session, 2))
            await gate.reached()
            gate.let_pass()
            assert [revision(await told(each)) for each in (answer, behind)] == [1, 2]


async def test_a_large_write_may_be_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        assert revision(await daemon.do(large())) == 1
        refused = await daemon.do(large(first=1, since=0))
        assert isinstance(refused, Refused)
        assert refused.reason == "REVISION_CONFLICT"
        assert revision(await daemon.do(large(first=1, since=1))) == 2


def whole(size: int) -> bytes:
    return encode({f"k{n}": n for n in range(size)})


MANY: dict[str, Callable[[int], list[Edit]]] = {
    "update": lambda size: [Set(("m", f"k{n}"), encode(-n)) for n in range(size)],
    "increments": lambda size: [Increment(("m", f"k{n}"), encode(1)) for n in range(size)],
    "appends": lambda size: [Append(("l",), (encode(n),)) for n in range(size)],
    "deletes": lambda size: [Delete(("m", f"k{n}")) for n in range(size)],
    "one append": lambda size: [Append(("new",), tuple(encode(n) for n in range(size)))],
    "a merge": lambda size: [Merge(("m",), encode({f"k{n}": -n for n in range(size)}))],
    "a map instead of a map": lambda size: [Set(("m",), encode({f"k{n}": -n for n in range(size)}))],
    "a number instead of a map": lambda _: [Set(("m",), encode(1))],
    "one delete": lambda _: [Delete(("m",))],
    "the root": lambda _: [Set((), encode({}))],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MANY)
async def test_however_many_parts_a_write_has_the_loop_does_few_of_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts what is done on the event loop by what ``spend`` is told: as much for 5,000 parts as for 10,000."""
    sizes = (5_000, 10_000)
    spent = []
    for size in sizes:
        (tmp_path / str(size)).mkdir()
        async with running(tmp_path / str(size)) as daemon:
            begun = ("set", Set((), encode({"m": {f"k{n}": n for n in range(size)}, "l": []})))
            opened = ("set", Set(("m", "opened"), encode(0)))
            await daemon.do(Write(StateRef("wf"), ANN, Precondition(), (begun,), 1))
            await daemon.do(Write(StateRef("wf"), ANN, Precondition(), (opened,), 1))
            with counted(monkeypatch) as count:
                made = tuple((name, edit) for edit in MANY[name](size))
                assert revision(await daemon.do(Write(StateRef("wf"), ANN, Precondition(), made, 1))) == 3
            spent.append(count())
    assert spent[1] <= spent[0] + 50, spent
    assert spent[1] < 1_000


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Count the calls of the engine on the event loop: of the functions that do something once for each part."""
    calls = 0

    def counting(function: Callable[P, R]) -> Callable[P, R]:
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal calls
            calls += threading.current_thread() is threading.main_thread()
            return function(*args, **kwargs)

        return called

    with monkeypatch.context() as patched:
        for module, name in ((edits, "evaluate"), (applying, "_applied"), (graves, "_dead"), (node, "child_of")):
            patched.setattr(module, name, counting(getattr(module, name)))
        patched.setattr(node.Node, "__init__", counting(node.Node.__init__))
        yield lambda: calls


async def test_a_restore_of_many_parts_is_worked_out_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as daemon:
        await daemon.do(large())
        content = Content(encode({"m": {f"k{n}": -n for n in range(5_000)}}))
        with counted(monkeypatch) as count:
            restored = await daemon.do(Restore(StateRef("wf"), ANN, Precondition(), content, (), 1))
        assert revision(restored) == 2
        assert count() < 1_000


async def test_very_many_small_writes_of_one_session_delay_another_by_a_few(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        many, other = [await daemon.authority.open_session("") for _ in range(2)]
        told_before: list[Outcome] = []
        answers = [daemon.ask(small("a"), Identity(many, number)) for number in range(1, 1_001)]
        late = daemon.ask(small("b"), Identity(other, 1))
        for answer in (*answers, late):
            answer.add_done_callback(lambda done: told_before.append(done.result()))
        await told(answers[-1])
        assert told_before.index(late.result()) < 300
        assert [revision(answer.result()) for answer in answers] == list(range(1, 1_001)), "in their order"


async def test_what_many_snapshots_make_is_made_in_a_thread_at_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding 100,000 of them takes a third of a second, in which the event loop would serve nobody."""
    monkeypatch.setattr(loader, "FEW", 2)
    threads: list[str] = []
    real = loader.parts_in

    def noted(records: list[Record], of: type[Snapshot]) -> object:
        threads.append(threading.current_thread().name)
        return real(records, of)

    async with running(tmp_path) as daemon:
        for number in range(5):
            taken = TakeSnapshot(StateRef("s"), ANN, f"id{number}", None, None, 1)
            assert isinstance(await daemon.do(taken), SnapshotTaken)
    monkeypatch.setattr(loader, "parts_in", noted)
    async with running(tmp_path) as daemon:
        state = await daemon.authority.ask(lambda reader: reader.state("s"))
        assert [snapshot.snapshot_id for snapshot in state.snapshots_in_order()] == [f"id{number}" for number in range(5)]
        assert isinstance(await daemon.do(DropSnapshot(StateRef("s"), ANN, "id3")), Written)
    assert any(name != threading.main_thread().name for name in threads)
