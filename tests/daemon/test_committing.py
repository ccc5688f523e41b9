"""What the committer answers where the store refuses: with the real store, made to fail at will."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import apsw
import pytest

from lastgood_daemon.authority import authority as authority_module
from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Outcome, Refused, Written
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Increment
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.store.protocol import LogId, LogRow, StoreBrokenError, StoreFullError, Unit
from lastgood_daemon.store.protocol import Outcome as StoreOutcome
from lastgood_daemon.store.sqlite import SqliteStore

ONE = b"\x01"


class FailingStore(SqliteStore):
    """Fails as told."""

    commits = 0
    commits_fail_with: Exception | None = None
    reads_fail_with: Exception | None = None

    async def commit(self, units: Sequence[Unit]) -> list[StoreOutcome]:
        if self.commits_fail_with is not None:
            raise self.commits_fail_with
        self.commits += 1
        return await super().commit(units)

    async def read_log(self, log: LogId, after: int, limit: int) -> list[LogRow]:
        if self.reads_fail_with is not None:
            raise self.reads_fail_with
        return await super().read_log(log, after, limit)


class Running:
    """An authority at work."""

    def __init__(self, path: Path) -> None:
        self.store = FailingStore.open(path / "lastgood.db")
        self.authority = Authority(self.store)
        self.task = asyncio.create_task(self.authority.run())

    def submit(self, identity: Identity | None, state_id: str = "s") -> "asyncio.Future[Outcome]":
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        write = Write(StateRef(state_id, 0), Author(""), Precondition(), (("increment", Increment(("n",), ONE)),), 1)
        self.authority.submit(Submission(write, answered.set_result, identity))
        return answered

    async def written(self, identity: Identity | None, state_id: str = "s") -> int:
        outcome = await asyncio.wait_for(self.submit(identity, state_id), 20)
        assert isinstance(outcome, Written), outcome
        return outcome.point.revision

    async def refused(self, identity: Identity | None, state_id: str = "s") -> str:
        outcome = await asyncio.wait_for(self.submit(identity, state_id), 20)
        assert isinstance(outcome, Refused), outcome
        return outcome.reason

    async def end(self) -> None:
        self.authority.drain()
        with suppress(StoreBrokenError):
            await asyncio.wait_for(self.task, 20)
        with suppress(StoreBrokenError):
            await self.store.close()


def spoil(path: Path, state_id: str) -> None:
    """Have the record of a state not match its checksum."""
    with closing(apsw.Connection(str(path / "lastgood.db"))) as connection:
        connection.execute("UPDATE records SET checksum = zeroblob(16) WHERE kind = 'state' AND owner = ?", (state_id,))
        assert connection.total_changes() == 1


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Running]:
    authority = Running(path)
    try:
        yield authority
    finally:
        await authority.end()


async def test_a_full_store_refuses_what_is_new_and_remembers_what_was_done(tmp_path: Path) -> None:
    """What is sent again because its answer was lost was written, and must not hear that nothing was."""
    async with running(tmp_path) as it:
        session = await it.authority.open_session("")
        assert await it.written(Identity(session, 1)) == 1
        it.store.commits_fail_with = StoreFullError("no room")
        again, new = it.submit(Identity(session, 1)), it.submit(Identity(session, 2))
        refused, written = await new, await again
        assert isinstance(refused, Refused)
        assert refused.reason == "OVERLOADED"
        assert isinstance(written, Written), written
        assert written.point.revision == 1
        it.store.commits_fail_with = None
        assert await it.written(Identity(session, 2)) == 2


async def test_a_full_store_refuses_both_of_two_that_are_the_same(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        session = await it.authority.open_session("")
        await it.written(Identity(session, 1))
        it.store.commits_fail_with = StoreFullError("no room")
        for outcome in await asyncio.gather(it.submit(Identity(session, 2)), it.submit(Identity(session, 2))):
            assert isinstance(outcome, Refused)
            assert outcome.reason == "OVERLOADED"
        it.store.commits_fail_with = None
        assert await it.written(Identity(session, 2)) == 2


async def test_a_broken_store_leaves_the_outcome_unknown_and_takes_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        assert await it.written(None) == 1
        it.store.commits_fail_with = StoreBrokenError("fsync")
        assert await it.refused(None) == "OUTCOME_UNKNOWN"
        with pytest.raises(StoreBrokenError):
            await it.task
        assert it.authority.broken is not None
        assert await it.refused(None) == "UNAVAILABLE"


async def test_a_store_that_breaks_while_it_reads_ends_the_daemon_too(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        assert await it.written(None) == 1
    async with running(tmp_path) as it:
        it.store.reads_fail_with = StoreBrokenError("read")
        assert await it.refused(None) == "UNAVAILABLE", "nothing was written, and the next daemon may be asked"
        with pytest.raises(StoreBrokenError):
            await asyncio.wait_for(it.task, 20)


async def test_a_mistake_of_ours_while_loading_refuses_that_call_and_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        assert await it.written(None) == 1
    async with running(tmp_path) as it:
        it.store.reads_fail_with = RuntimeError("a mistake")
        assert await it.refused(None) == "INTERNAL"
        assert await it.written(None, "another") == 1
        it.store.reads_fail_with = None
        assert await it.written(None) == 2


async def test_a_session_that_expires_while_it_is_connected_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Housekeeping takes the record of a client that was silent for a day; then that writes again."""
    async with running(tmp_path) as it:
        session = await it.authority.open_session("")
        assert await it.written(Identity(session, 1)) == 1
        with monkeypatch.context() as patched:
            patched.setattr(authority_module, "LIFETIME", -1)
            assert await it.authority.expire_sessions() == 1
        assert await it.written(Identity(session, 2, 1)) == 2
        assert await it.written(Identity(session, 2, 1)) == 2
        assert it.authority.broken is None


async def test_housekeeping_while_everybody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority_module, "LIFETIME", -1)
    async with running(tmp_path) as it:
        sessions = [await it.authority.open_session("") for _ in range(20)]
        for number in range(1, 30):
            writes = [it.submit(Identity(session, number, number - 1)) for session in sessions]
            await asyncio.gather(it.authority.expire_sessions(), *writes)
        assert it.authority.broken is None
        assert await it.written(None) == 20 * 29 + 1


async def test_a_session_waits_once_for_many_states_that_are_not_in_memory(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        session = await it.authority.open_session("")
        await it.written(Identity(session, 1))
        before = it.store.commits
        outcomes = await asyncio.gather(*(it.submit(Identity(session, n + 2), f"s{n}") for n in range(200)))
        assert all(isinstance(outcome, Written) for outcome in outcomes)
        assert it.store.commits - before < 10


async def test_a_state_that_cannot_be_read_is_refused_alone(tmp_path: Path) -> None:
    names = [f"s{n}" for n in range(10)]
    async with running(tmp_path) as it:
        for name in names:
            await it.written(None, name)
    spoil(tmp_path, "s4")
    async with running(tmp_path) as it:
        session = await it.authority.open_session("")
        sent = [it.submit(Identity(session, n), name) for n, name in enumerate(["s", *names], 1)]
        outcomes = dict(zip(["s", *names], await asyncio.gather(*sent), strict=True))
        refused = outcomes.pop("s4")
        assert isinstance(refused, Refused)
        assert refused.reason == "CORRUPT"
        assert all(isinstance(outcome, Written) for outcome in outcomes.values()), outcomes
