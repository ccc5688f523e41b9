"""Two authorities over one store: what several daemons on one database will be.

With SQLite one daemon owns the file, so its store never moves. But the boundary is built for one that does: an append that
comes back as moved is evaluated again against what the other one has written, and nobody is told anything before that.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Outcome, Refused, Written
from lastgood_daemon.authority.questions import read
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Increment, Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import Store
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_proto.values import encode

STATE = StateRef("shared")


def increment(name: str) -> Write:
    return Write(STATE, Author(), Precondition(), (("increment", Increment((name,), encode(1))),), 1)


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Authority]:
    authority = Authority(store)
    task = asyncio.create_task(authority.run())
    yield authority
    authority.drain()
    await task


@asynccontextmanager
async def two(tmp_path: Path) -> AsyncIterator[tuple[Authority, Authority]]:
    store = SqliteStore.open(tmp_path / "lastgood.db")
    try:
        async with AsyncExitStack() as stack:
            yield await stack.enter_async_context(running(store)), await stack.enter_async_context(running(store))
    finally:
        await store.close()


async def done(authority: Authority, command: Write, identity: Identity | None = None) -> Outcome:
    answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    authority.submit(Submission(command, answered.set_result, identity))
    return await answered


async def test_writes_through_both_are_all_applied_once(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        outcomes = await asyncio.gather(*(done((one, other)[i % 2], increment("n")) for i in range(200)))
        assert sorted(outcome.point.revision for outcome in outcomes if isinstance(outcome, Written)) == list(range(1, 201))
        seen = await other.ask(lambda reader: read(reader, STATE, ("n",)))
        assert seen.node is not None
    store = SqliteStore.open(tmp_path / "lastgood.db")
    async with running(store) as fresh:
        seen = await fresh.ask(lambda reader: read(reader, STATE, ("n",)))
        assert seen.node is not None
        assert seen.node.value() == 200
    await store.close()


async def test_a_precondition_is_judged_by_what_the_other_one_has_written(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        first = Write(STATE, Author("a"), Precondition(0), (("set", Set(("k",), encode("a"))),), 1)
        second = Write(STATE, Author("b"), Precondition(0), (("set", Set(("k",), encode("b"))),), 1)
        assert isinstance(await done(other, increment("warm")), Written)
        assert isinstance(await done(one, first), Refused)
        assert isinstance(await done(one, increment("warm")), Written)
        refused = await done(other, second)
        assert isinstance(refused, Refused)
        assert refused.reason == "REVISION_CONFLICT"
        assert refused.metadata["actual"] in {"1", "2"}


async def test_a_request_repeated_through_the_other_one_gets_the_first_answer(tmp_path: Path) -> None:
    async with two(tmp_path) as (one, other):
        identity = Identity("session", 1)
        first = await done(one, increment("n"), identity)
        assert await done(other, increment("n"), identity) == first


async def test_sessions_that_have_expired_under_a_client_are_begun_anew(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "lastgood.db")
    async with running(store) as authority:
        await done(authority, increment("n"), Identity("session", 1))
        assert await store.expire("session", store.now() + 1) == 1
        outcome = await done(authority, increment("n"), Identity("session", 2))
        assert isinstance(outcome, Written)
        assert outcome.point.revision == 2
    await store.close()
