"""A store with something of everything, and all that it says."""

import random
from pathlib import Path

import pytest
from tests.authority.at_work import Daemon, running
from tests.chaos.inline import without_threads

from lastgood_daemon.authority import imaging
from lastgood_daemon.authority.commands.attempts import Claim, Resume
from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.effects import ClaimEffect, RecordEffect
from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.states import DeleteState, Fork
from lastgood_daemon.authority.commands.steps import BeginStep, CompleteStep
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.history import HistoryQuestion
from lastgood_daemon.authority.indexing import index_page
from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.targets import Content, Revision, StateRef, find
from lastgood_daemon.engine.checkpoint import COMPLETED
from lastgood_daemon.engine.edits import Append, Delete, Edit, Increment, Set
from lastgood_daemon.engine.errors import RevisionUnavailableError
from lastgood_daemon.engine.history import HistoryItem
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.store.protocol import LogId
from lastgood_proto.values import encode

HISTORIES = (((), True), (("a",), False), (("a", "x"), True), (("a", "x"), False), (("list",), True), (("big",), True))
"""Of which paths, and whether newest first."""
STATES = ("compacted", "indexed", "imaged", "wf")
EVERYTHING = 100_000

Dump = dict[str, object]


async def fill(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the store, and close it."""
    rng = random.Random(5)
    monkeypatch.setattr(imaging, "FIRST_BYTES", 12_000)
    async with running(folder) as daemon:
        for state_id in (*STATES, "gone", "small"):
            for number in range(3 if state_id == "small" else 45):
                await _do(daemon, _write(state_id, _edit(rng, number)))
                if state_id == "compacted" and number in {4, 12}:
                    await _do(daemon, TakeSnapshot(StateRef(state_id), Author("me"), f"id{number}", "a label", None, 1))
        await _workflow(daemon)
        await daemon.authority.background.idle()
        while await index_page(daemon.store, LogId("indexed", 1)):
            pass
        await index_page(daemon.store, LogId("compacted", 1))
        await _do(daemon, SetRetention("compacted", Retention(revisions=20), 1))
        await daemon.authority.housekeeper.keep("compacted")
        await index_page(daemon.store, LogId("compacted", 1))
        for number in range(5):
            await _do(daemon, _write("compacted", _edit(rng, number)))
        await _do(daemon, Fork(StateRef("imaged"), Author("me"), Revision(20), "fork"))
        await _do(daemon, DeleteState(StateRef("gone"), Author("me")))
        await _do(daemon, DeleteState(StateRef("small"), Author("me")))
        await _do(daemon, _write("small", Set(("again",), encode(1))))
        await daemon.authority.background.idle()


def _write(state_id: str, edit: Edit, author: Author = Author("me")) -> Write:  # noqa: B008 - immutable
    return Write(StateRef(state_id), author, Precondition(), (("set", edit),), 1)


def _edit(rng: random.Random, number: int) -> Edit:
    match number % 9:
        case 3:
            return Set(("big", f"raw{number % 2}"), encode(rng.randbytes(1500)))
        case 4:
            return Set(("big", "text"), encode(f"a text that repeats itself {number} " * 60))
        case 5:
            return Append(("list",), (encode(number), encode({"n": number})))
        case 6:
            return Increment(("count",), encode(number))
        case 7 if number > 9:
            return Delete(("big", "text"))
        case _:
            return Set(("a", rng.choice("xyz")), encode(f"value {rng.randrange(10**6)}"))


async def _workflow(daemon: Daemon) -> None:
    author = Author("me", "wf", 1)
    await _do(daemon, Resume("wf", Author("me"), None, None, force=False, poison_after=3, size=1))
    for step in range(4):
        await _do(daemon, BeginStep("wf", step, author))
        await _do(daemon, _write("wf", Set(("step",), encode(step)), author))
        for key in ("mail", "call"):
            await _do(daemon, ClaimEffect("wf", step, key, author, daemon.store.daemon_id, refuse_doubt=True))
            if step < 3:
                await _do(daemon, RecordEffect("wf", step, key, author, encode(f"sent {step}"), None, 1))
        if step < 3:
            await _do(daemon, CompleteStep("wf", step, author, None, encode({"note": step}), 1))
    made = MakeCheckpoint("other", 0, Author("me"), COMPLETED, Content(encode({"k": "v"})), None, None, "copy", 1)
    await _do(daemon, made)
    await _do(daemon, Claim("held", Author("me"), None, 0, "claim", "holder", 60_000_000, 0, 1))
    for number in range(1, 6):
        identity = Identity("a session", number, number - 2 if number > 2 else 0)
        outcome = await daemon.ask(_write("imaged", Set(("a", "x"), encode(number))), identity)
        assert not isinstance(outcome, Refused), outcome


async def _do(daemon: Daemon, command: object) -> None:
    outcome = await daemon.do(command)  # type: ignore[arg-type]
    assert not isinstance(outcome, Refused), outcome


async def dump(folder: Path) -> Dump:
    """Open the store as a daemon does, and give all that it says. Without threads, which is three times as fast."""
    with pytest.MonkeyPatch.context() as patched:
        without_threads(patched)
        return await _dump(folder)


async def _dump(folder: Path) -> Dump:
    said: Dump = {}
    async with running(folder) as daemon:
        store, authority = daemon.store, daemon.authority
        said["identity"] = store.daemon_id  # not which copy it is: each file with a flipped bit is another one
        for kind in await store.kinds():
            said[kind] = await store.list_records(kind, "", EVERYTHING)
        said["logs"] = await store.list_logs(None, EVERYTHING)
        said["states"] = await authority.list_states("", EVERYTHING)
        said["workflows"] = [name for name, _ in (await authority.list_workflows("", EVERYTHING))[0]]
        for record in await store.list_records("state", "", EVERYTHING):
            name = record.key.owner
            said[f"state {name}"] = await _state(daemon, name)
    return said


async def _state(daemon: Daemon, name: str) -> list[object]:
    state = await daemon.authority.ask(lambda reader: reader.state(name))
    said: list[object] = [state.about, state.revision, state.chain, state.kept, state.snapshots_in_order()]
    # The history of the root has the value of each revision above the floor; some of them are brought back one by one.
    below = range(state.kept.floor.revision + 1)
    for revision in sorted({*below, *range(0, state.revision + 1, 7), state.revision}):
        try:
            found = await daemon.authority.ask(lambda reader, at=revision: find(reader, state, Revision(at)).root)  # type: ignore[misc]
            said.append(found.encoded())
        except RevisionUnavailableError as error:
            said.append(str(error))
    for path, newest_first in HISTORIES:
        question = HistoryQuestion(path, 0, None, newest_first=newest_first, limit=EVERYTHING)
        said.append([_plain(item) async for item in daemon.authority.history(state, question)])
    return said


def _plain(item: HistoryItem) -> tuple[object, ...]:
    return tuple(part.encoded() if isinstance(part, Node) else part for part in item)
