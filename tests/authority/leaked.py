"""A state into which a text leaks again and again, and looking at what is left of it."""

import random
from typing import Any

from tests.authority.at_work import Daemon
from tests.engine.test_redaction import MARK, SECRET, replaced, told

from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import SnapshotTaken, Written
from lastgood_daemon.authority.redaction import Wanted
from lastgood_daemon.authority.replay import rebuilt, replay
from lastgood_daemon.authority.targets import Revision, StateRef, find
from lastgood_daemon.engine.edits import Append, Delete, Edit, Set
from lastgood_daemon.engine.image import decode_image
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.engine.state import About, State
from lastgood_daemon.store.protocol import LogId
from lastgood_proto.values import decode, encode

LOG = LogId("s", 1)
REF = StateRef("s")


def write(edit: Edit, state: str = "s") -> Write:
    return Write(StateRef(state), Author("me"), Precondition(), (("set", edit),), 1)


def wanted(text: str = SECRET, state: str = "s", replacement: str = MARK) -> Wanted:
    return Wanted(StateRef(state), Author("me"), text, replacement, 1)


def draw(rng: random.Random) -> Write:
    secret = f"{rng.choice(['', 'x'])}{SECRET}{rng.choice(['', 'y'])}"
    number = rng.randrange(99)
    value: Any = rng.choice([secret, [secret, 1], {"a": secret}, {secret: number}, number, "plain" * 30])
    match rng.randrange(7):
        case 0:
            return write(Delete((rng.choice("klmn"),)))
        case 1:
            return write(Append(("list",), (encode(value), encode(rng.randrange(9)))))
        case 2:
            return write(Set(("map", rng.choice("abc"), rng.choice("xyz")), encode(value)))
        case 3:
            items = [f"item {number}" * 3 for number in range(rng.randrange(20, 30))]
            return write(Set(("long",), encode([*items[: rng.randrange(20)], secret, *items])))
        case _:
            return write(Set((rng.choice("klmn"),), encode(value)))


async def state_of(daemon: Daemon, name: str = "s") -> State:
    return await daemon.authority.ask(lambda reader: reader.state(name))


async def read(daemon: Daemon, revision: int) -> object:
    found = await daemon.authority.ask(lambda reader: find(reader, reader.state("s"), Revision(revision)))
    return decode(found.root.encoded())


async def filled(daemon: Daemon, rng: random.Random, until: int, contents: dict[int, Any], pins: int = 0) -> None:
    while max(contents, default=0) < until:
        daemon.store.turned += 1
        outcome = await daemon.do(draw(rng))
        if isinstance(outcome, Written) and outcome.point.revision not in contents:
            contents[outcome.point.revision] = await read(daemon, outcome.point.revision)
            if pins and rng.randrange(pins) == 0:
                await snapshot(daemon, "pin")
    await daemon.authority.background.idle()


async def snapshot(daemon: Daemon, label: str) -> SnapshotTaken:
    taken = await daemon.do(TakeSnapshot(REF, Author(), f"snap{random.random()}", label, encode({"m": label}), 1))
    assert isinstance(taken, SnapshotTaken)
    return taken


async def keep(daemon: Daemon, revisions: int) -> int:
    await daemon.do(SetRetention("s", Retention(revisions=revisions), 1))
    return (await daemon.authority.housekeeper.keep("s")).revisions


async def check(daemon: Daemon, contents: dict[int, Any], kept: set[int]) -> None:
    """See that all that is kept reads as it did, but for the text, however it is rebuilt; and that the head matches."""
    for revision in sorted(kept & contents.keys()):
        assert await read(daemon, revision) == replaced(contents[revision]), revision
        state, _, _ = await rebuilt(daemon.store, Point("s", 1, revision))
        assert decode(state.tree.root.encoded()) == replaced(contents[revision]), revision
    present = await state_of(daemon)
    head = await daemon.store.head(LOG)
    again, _, _ = await rebuilt(daemon.store, Point("s", 1, 0))
    assert (head.revision, head.chain) == (present.revision, present.chain) == (again.revision, again.chain)
    assert told(again.tree) == told(present.tree)
    if not head.floor:
        bare = await replay(daemon.store, State("s", About(born=True)))
        assert told(bare.tree) == told(present.tree)
        assert bare.log_bytes == present.log_bytes
        for mark in await daemon.store.list_images(LOG):
            image = await daemon.store.image(LOG, mark.revision)
            assert image is not None
            there = await replay(daemon.store, State("s", About(born=True)), until=mark.revision)
            assert told(decode_image(image.data).tree) == told(there.tree)
