"""Work for an authority, what it must come to, and whether it has: everything acknowledged, in order, each thing whole.

Commands are numbered and sent in the order of their numbers, so what a store has is right if and only if it is what the
first so many of them make, at least those that were acknowledged. What is in flight when a process dies is sent again
under the same identity to the next, as a client does; so in the end each has been done once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.support.rows import entry_of

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.checkpoints import DeleteCheckpoints, MakeCheckpoint
from lastgood_daemon.authority.commands.snapshots import DropSnapshot, TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Outcome, Refused
from lastgood_daemon.authority.questions import read
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Append, Set
from lastgood_daemon.engine.log import Author, chain
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import LogId, Store, StoreBrokenError
from lastgood_proto.values import encode

STATES = ("one", "two")
WORKFLOW = "workflow"
NOBODY = Author("agent")
SIZES = (10, 10, 10, 300, 300, 2000, 9000)
"""Bytes of a value: within a page, and over several."""
REMEMBERED = 4
"""Answers that a client leaves unacknowledged, so that the session has to keep them."""


@dataclass
class Life:
    """One life of a state, as it should be."""

    incarnation: int = 1
    revision: int = 0
    content: dict[str, object] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)


@dataclass
class Content:
    """What is in a store, or should be."""

    states: dict[str, Life] = field(default_factory=lambda: {name: Life() for name in STATES})
    checkpoints: dict[int, tuple[str, int, int]] = field(default_factory=dict)


@dataclass
class Item:
    """A command, what it does to the content, and the answer once there is one."""

    command: Command
    effect: Callable[[Content], None]
    identity: Identity
    state: str = ""
    payload: bytes = b""
    """What a write puts into which state."""
    outcome: Outcome | None = None


class WrongError(AssertionError):
    """The store has not what it should. ``lost`` acknowledged commands are missing at the end; 0: it is torn."""

    def __init__(self, lost: int, what: str) -> None:
        super().__init__(what)
        self.lost = lost


class Ledger:
    """What has been sent to the store of one file, over all the processes that open it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.items: list[Item] = []
        self.acknowledged = 0

    @property
    def in_flight(self) -> list[Item]:
        return self.items[self.acknowledged :]

    def more(self, count: int) -> list[Item]:
        """Think of commands."""
        for _ in range(count):
            number = len(self.items) + 1
            identity = Identity("session", number, max(0, self.acknowledged - REMEMBERED))
            name = self.random.choice(STATES)
            payload = self.random.randbytes(self.random.choice(SIZES))
            command, effect = self._any(number, name, payload)
            self.items.append(Item(command, effect, identity, name, payload if isinstance(command, Write) else b""))
        return self.items[-count:]

    def _any(self, number: int, name: str, payload: bytes) -> tuple[Command, Callable[[Content], None]]:
        state = StateRef(name)
        match self.random.randrange(20):
            case 0:
                return DeleteState(state, NOBODY), lambda content: _delete(content, name)
            case 1 | 2 | 3:
                take = TakeSnapshot(state, NOBODY, f"s{number}", None, None, 1)
                return take, lambda content: _snapshot(content, name, number)
            case 4:
                gone = f"s{self.random.randrange(number)}"
                drop = DropSnapshot(state, NOBODY, gone)
                return drop, lambda content: void(content.states[name].snapshots.pop(gone, 0))
            case 5 | 6 | 7:
                step = self.random.randrange(8)
                make = MakeCheckpoint(WORKFLOW, step, NOBODY, 1, state, None, None, "", 1)
                return make, lambda content: _checkpoint(content, step, name)
            case 8:
                step = self.random.randrange(8)
                forget = DeleteCheckpoints(WORKFLOW, step, NOBODY, effects=False)
                return forget, lambda content: void(content.checkpoints.pop(step, None))
            case _:
                return _write(state, number, payload), lambda content: _written(content, name, number, payload)

    def settle(self) -> None:
        """Count what has been acknowledged. The answers come in the order of the commands.

        Raises:
            WrongError: one is refused for damage, which those after it need not meet.
        """
        for item in self.in_flight:
            if isinstance(item.outcome, Refused) and item.outcome.reason == "CORRUPT":
                raise WrongError(0, item.outcome.message)
        for item in self.in_flight:
            if item.outcome is None or isinstance(item.outcome, Refused):
                break
            self.acknowledged += 1
        late = [item for item in self.in_flight if item.outcome is not None and not isinstance(item.outcome, Refused)]
        assert not late, "something was acknowledged after something that was not"

    def expected(self, count: int) -> Content:
        """Give what the first so many commands make."""
        content = Content()
        for item in self.items[:count]:
            item.effect(content)
        return content

    async def check(self, authority: Authority) -> int:
        """Hold what a store has against what was sent; how many of the commands it has.

        Raises:
            WrongError: it has not all that was acknowledged, or something that is not whole.
        """
        found = await observed(authority)
        content = self.expected(self.acknowledged)
        for count in range(self.acknowledged, len(self.items) + 1):
            if found == content:
                return count
            if count < len(self.items):
                self.items[count].effect(content)
        for count in range(self.acknowledged):
            if found == self.expected(count):
                raise WrongError(self.acknowledged - count, f"of {self.acknowledged} acknowledged commands it has {count}")
        raise WrongError(0, f"it has no first so many of the commands: {found}, where {self.acknowledged} make {content}")


async def observed(authority: Authority) -> Content:
    """Give what is in a store."""
    content = Content()
    for name in STATES:
        seen = await authority.ask(lambda reader, name=name: read(reader, StateRef(name), ()))  # type: ignore[misc]
        value = {} if seen.node is None else seen.node.value()
        assert isinstance(value, dict)
        snapshots = {snapshot.snapshot_id: snapshot.revision for snapshot in seen.state.snapshots.values()}
        content.states[name] = Life(seen.state.incarnation, seen.revision, value, snapshots)
    workflow = await authority.ask(lambda reader: reader.workflow(WORKFLOW))
    for checkpoint in workflow.checkpoints.values():
        point = checkpoint.point
        content.checkpoints[checkpoint.step] = (point.state_id, point.incarnation, point.revision)
    return content


async def check_logs(store: Store, content: Content) -> None:
    """See that every revision of the states is there and matches its chain."""
    for name, life in content.states.items():
        log = LogId(name, life.incarnation)
        revision, before = 0, b""
        while rows := await store.read_log(log, revision, 100):
            for row in rows:
                assert row.revision == revision + 1
                assert chain(before, row.revision, entry_of(row.entry)) == row.chain
                revision, before = row.revision, row.chain
        assert (revision, before) == (await store.head(log))[:2]
        assert revision == life.revision


class Process:
    """An authority over a store, until one of them ends."""

    def __init__(self, store: Store) -> None:
        self.authority = Authority(store)
        self._running = asyncio.create_task(self.authority.run())

    async def send(self, ledger: Ledger, items: list[Item], *, at_once: int = 1) -> bool:
        """Send commands, in groups of so many, up to the first that is not acknowledged; whether all have been."""
        for first in range(0, len(items), at_once):
            group = items[first : first + at_once]
            answered = asyncio.get_running_loop().create_future()
            for item in group:
                self.authority.submit(
                    Submission(item.command, _deliver(item, answered, last=item is group[-1]), item.identity)
                )
            await asyncio.wait([answered, self._running], return_when=asyncio.FIRST_COMPLETED)
            ledger.settle()
            if ledger.acknowledged < group[-1].identity.sequence:
                return False
        return True

    async def ask_again(self, item: Item) -> Outcome:
        """Send a command that has been answered."""
        again = Item(item.command, item.effect, item.identity)
        answered = asyncio.get_running_loop().create_future()
        self.authority.submit(Submission(again.command, _deliver(again, answered, last=True), again.identity))
        await asyncio.wait([answered, self._running], return_when=asyncio.FIRST_COMPLETED)
        return again.outcome or Refused("UNAVAILABLE", "the store broke")

    async def end(self) -> StoreBrokenError | None:
        """End in order; what broke it, if anything did."""
        self.authority.drain()
        try:
            await self._running
        except StoreBrokenError as error:
            return error
        return None


def _deliver(item: Item, answered: asyncio.Future[None], *, last: bool) -> Callable[[Outcome], None]:
    def deliver(outcome: Outcome) -> None:
        item.outcome = outcome
        if last and not answered.done():
            answered.set_result(None)

    return deliver


def _write(state: StateRef, number: int, payload: bytes) -> Write:
    edits = (
        ("append", Append(("list",), (encode(number),))),
        ("set", Set(("payload",), encode(payload))),
        ("set", Set(("of", str(number % 5)), encode(number))),
    )
    return Write(state, NOBODY, Precondition(), edits, len(payload))


def _written(content: Content, name: str, number: int, payload: bytes) -> None:
    life = content.states[name]
    life.revision += 1
    old, of = life.content.get("list", []), life.content.get("of", {})
    assert isinstance(old, list)
    assert isinstance(of, dict)
    life.content |= {"list": [*old, number], "payload": payload, "of": of | {str(number % 5): number}}


def _delete(content: Content, name: str) -> None:
    life = content.states[name]
    if life.revision or life.snapshots:
        content.states[name] = Life(life.incarnation + 1)


def _snapshot(content: Content, name: str, number: int) -> None:
    content.states[name].snapshots[f"s{number}"] = content.states[name].revision


def _checkpoint(content: Content, step: int, name: str) -> None:
    life = content.states[name]
    content.checkpoints[step] = (name, life.incarnation, life.revision)


def void(_: object) -> None:
    """Forget a result, in a lambda."""
