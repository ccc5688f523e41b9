"""What a workflow costs in durable writes: each of them is an fsync that somebody waits for."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.authority.test_shared_store import running

from lastgood_daemon.authority.authority import Authority
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.attempts import Claim
from lastgood_daemon.authority.commands.effects import ClaimEffect, RecordEffect
from lastgood_daemon.authority.commands.steps import BeginStep, CompleteStep, FailStep
from lastgood_daemon.authority.outcomes import EffectClaimed, EffectKnown, Outcome, Refused
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.engine.log import Author
from lastgood_daemon.store.protocol import Outcome as Stored
from lastgood_daemon.store.protocol import Unit
from lastgood_daemon.store.sqlite import SqliteStore

AUTHOR = Author("worker", "wf", 1)


class CountingStore(SqliteStore):
    """Counts the commits."""

    commits = 0

    async def commit(self, units: Sequence[Unit]) -> list[Stored]:
        self.commits += 1
        return await super().commit(units)


async def test_an_effect_is_two_writes_and_the_end_of_a_step_one(tmp_path: Path) -> None:
    store = CountingStore.open(tmp_path / "lastgood.db")
    async with running(store) as authority:
        session, sequence = await authority.open_session(""), 0

        async def cost(command: Command) -> tuple[int, Outcome]:
            nonlocal sequence
            sequence += 1
            before = store.commits
            outcome = await _done(authority, command, Identity(session, sequence))
            assert not isinstance(outcome, Refused), outcome
            return store.commits - before, outcome

        assert (await cost(Claim("wf", Author("worker"), None, 0, "claim", "worker", 60_000_000, 0, 1)))[0] == 1
        assert (await cost(BeginStep("wf", 0, AUTHOR)))[0] == 1
        claim = ClaimEffect("wf", 0, "mail", AUTHOR, authority.daemon_id, refuse_doubt=False)
        writes, outcome = await cost(claim)
        assert (writes, type(outcome)) == (1, EffectClaimed)
        assert (await cost(RecordEffect("wf", 0, "mail", AUTHOR, b"\x01", None, 1)))[0] == 1
        writes, outcome = await cost(claim)
        assert (writes, type(outcome)) == (0, EffectKnown), "a recorded result is given without a write"
        assert (await cost(CompleteStep("wf", 0, AUTHOR, None, None, 1)))[0] == 1
        assert (await cost(BeginStep("wf", 1, AUTHOR)))[0] == 1
        assert (await cost(FailStep("wf", 1, AUTHOR, None, None, 1)))[0] == 1
    await store.close()


async def _done(authority: Authority, command: Command, identity: Identity) -> Outcome:
    answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    authority.submit(Submission(command, answered.set_result, identity))
    return await answered
