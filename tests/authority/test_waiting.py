"""Claims that wait for a workflow: first come, first served, and nobody is forgotten.

The store's clock stands still unless a test turns it, so that a lease expires when it is said to.
"""

import asyncio
from pathlib import Path

import pytest
from tests.authority.at_work import LONG, SOON, Daemon, attempt, claim, give_up, reason, running, told, write

from lastgood_daemon.authority import committer, grants, waiting
from lastgood_daemon.authority.commands.attempts import Claim, Resume
from lastgood_daemon.authority.commands.leases import Release, Renew
from lastgood_daemon.authority.commands.steps import BeginStep
from lastgood_daemon.authority.outcomes import Done, Refused, Resumed, Written
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.waiting import Turn
from lastgood_daemon.engine import trail
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.workflow import Workflow


async def test_first_come_first_served(tmp_path: Path) -> None:
    names = [f"agent {n}" for n in range(40)]
    async with running(tmp_path) as daemon:
        assert await attempt(daemon.ask(claim("holder"))) == 1
        answers = [daemon.ask(claim(name)) for name in names]
        last = "holder"
        for number, (name, answer) in enumerate(zip(names, answers, strict=True), start=2):
            assert not any(each.done() for each in answers[number - 2 :])
            await daemon.do(give_up(last))
            assert await attempt(answer) == number
            await daemon.settled()
            last = name


@pytest.mark.parametrize("at_hand", [1, 256], ids=["from the disk", "from memory"])
async def test_a_claim_gets_the_workflow_when_it_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_hand: int
) -> None:
    """Also where what it rolls back has to be read first: it keeps its turn."""
    monkeypatch.setattr(trail, "MAX_REVISIONS", at_hand)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b, c = daemon.ask(claim("b")), daemon.ask(claim("c"))
        for _ in range(3):
            assert isinstance(await daemon.do(write(1)), Written)
        assert await daemon.do(give_up("a")) == Done()
        outcome = await told(b)
        assert isinstance(outcome, Resumed)
        assert (outcome.attempt, outcome.rollback.from_revision, outcome.point.revision) == (2, 3, 4)
        await daemon.settled()
        assert not c.done()
        await daemon.do(write(2))
        assert await daemon.do(give_up("b")) == Done()
        assert await attempt(c) == 3


@pytest.mark.parametrize("at_hand", [1, 256], ids=["from the disk", "from memory"])
async def test_a_claim_gets_the_workflow_when_its_lease_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_hand: int
) -> None:
    monkeypatch.setattr(trail, "MAX_REVISIONS", at_hand)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=SOON)))
        for _ in range(3):
            assert isinstance(await daemon.do(write(1)), Written)
        b = daemon.ask(claim("b"))
        await daemon.settled()
        daemon.store.turned += SOON - 1
        assert await daemon.do(Renew("wf", Author("", "wf", 1))) == Done()
        daemon.store.turned += SOON - 1
        await daemon.settled()
        assert not b.done()
        daemon.store.turned += 1
        assert await attempt(b) == 2
        assert await reason(daemon.ask(write(1))) == "FENCED"


async def test_a_claim_gets_a_workflow_that_is_taken_by_force_and_not_held(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b = daemon.ask(claim("b"))
        taken = daemon.ask(Resume("wf", Author("c"), None, None, force=True, poison_after=0, size=1))
        assert (await attempt(taken), await attempt(b)) == (2, 3)


async def test_whoever_is_told_to_ask_again_keeps_its_place(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b, c = daemon.ask(claim("b", SOON)), daemon.ask(claim("c"))
        outcome = await told(b)
        assert isinstance(outcome, Refused)
        assert (outcome.reason, outcome.metadata["holder"]) == ("WORKFLOW_BUSY", "a")
        again = daemon.ask(claim("b"))
        await daemon.do(give_up("a"))
        assert await attempt(again) == 2
        await daemon.settled()
        assert not c.done()
        await daemon.do(give_up("b"))
        assert await attempt(c) == 3


async def test_it_keeps_its_place_also_while_the_workflow_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile the others wait for that, and do not ask over and over."""
    looked: list[object] = []

    class CountingRoom(waiting.WaitingRoom):
        def receive(self, submission: Submission, claim: Claim, workflow: Workflow, now: int) -> Refused | Turn | None:
            looked.append(claim)
            return super().receive(submission, claim, workflow, now)

    monkeypatch.setattr(committer, "WaitingRoom", CountingRoom)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b, c = daemon.ask(claim("b", SOON)), daemon.ask(claim("c"))
        assert await reason(b) == "WORKFLOW_BUSY"
        await daemon.do(give_up("a"))
        assert await reason(daemon.ask(claim("d", 0))) == "WORKFLOW_BUSY"
        for _ in range(30):
            await daemon.settled()
        assert not c.done()
        assert len(looked) < 10
        assert await attempt(daemon.ask(claim("b"))) == 2
        await daemon.do(give_up("b"))
        assert await attempt(c) == 3


async def test_the_place_of_one_that_never_comes_back_is_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "KEPT_SECONDS", 0.01)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b, c = daemon.ask(claim("b", SOON)), daemon.ask(claim("c"))
        assert await reason(b) == "WORKFLOW_BUSY"
        await daemon.do(give_up("a"))
        assert await attempt(c) == 2
        assert await daemon.do(give_up("b")) == Done(existed=False)


async def test_waiting_ends_when_it_was_said_to_however_often_it_is_looked_at() -> None:
    room, command = waiting.WaitingRoom(lambda _: None), claim("b")
    submission = Submission(command, lambda _: None)
    held = Workflow("wf").with_lease(Lease(1, "claim of a", "a", LONG, LONG))
    assert room.receive(submission, command, held, 0) is None
    until = submission.until
    await asyncio.sleep(0)
    assert room.receive(submission, command, held, 1) is None
    assert submission.until == until
    room.close()


async def test_waiting_ends_with_the_time_of_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "KEPT_SECONDS", 0.01)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        gone = daemon.ask(claim("b"), deadline=asyncio.get_running_loop().time() + 0.05)
        c = daemon.ask(claim("c"))
        assert await reason(gone) in {"WORKFLOW_BUSY", "DEADLINE_EXCEEDED"}
        await daemon.do(give_up("a"))
        assert await attempt(c) == 2


async def test_a_claim_that_does_not_wait_does_not_push_in(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b = daemon.ask(claim("b"))
        await daemon.settled()
        given_up, pushing = daemon.ask(give_up("a")), daemon.ask(claim("c", 0))
        assert await told(given_up) == Done()
        assert await reason(pushing) == "WORKFLOW_BUSY"
        assert await attempt(b) == 2


async def test_giving_up_a_claim_that_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b, c, d = daemon.ask(claim("b")), daemon.ask(claim("c", SOON)), daemon.ask(claim("d"))
        assert await daemon.do(give_up("b")) == Done()
        assert await reason(b) == "WORKFLOW_BUSY"
        assert await reason(c) == "WORKFLOW_BUSY"
        assert await daemon.do(give_up("c")) == Done()
        assert await daemon.do(give_up("b")) == await daemon.do(give_up("c")) == Done(existed=False)
        await daemon.do(give_up("a"))
        assert await attempt(d) == 2


async def test_a_claim_that_comes_again_on_another_connection_is_granted_once(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        session = await daemon.authority.open_session("")
        await attempt(daemon.ask(claim("a"), Identity(session, 1)))
        first = daemon.ask(claim("b"), Identity(session, 2))
        await daemon.settled()
        again = daemon.ask(claim("b"), Identity(session, 2))
        await daemon.settled()
        await daemon.do(give_up("a"))
        assert await attempt(again) == 2
        assert await attempt(daemon.ask(claim("b"), Identity(session, 2))) == 2
        await daemon.settled()
        assert not first.done()


@pytest.mark.parametrize("identified", [False, True])
async def test_one_that_comes_again_just_when_it_is_its_turn(tmp_path: Path, *, identified: bool) -> None:
    async with running(tmp_path) as daemon:
        session = await daemon.authority.open_session("")
        identity = Identity(session, 2) if identified else None
        await attempt(daemon.ask(claim("a"), Identity(session, 1)))
        daemon.ask(claim("b"), identity)
        c = daemon.ask(claim("c"))
        await daemon.settled()
        daemon.ask(give_up("a"))
        again = daemon.ask(claim("b"), identity)
        assert await attempt(again) in {2, 3}
        await daemon.settled()
        assert not c.done()
        await daemon.do(give_up("b"))
        assert await attempt(c) in {3, 4}


async def test_the_holder_that_asks_again_does_not_wait_behind_others(tmp_path: Path) -> None:
    """It has not heard that it holds the workflow."""
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b = daemon.ask(claim("b"))
        assert await attempt(daemon.ask(claim("a"))) == 2
        await daemon.settled()
        assert not b.done()


@pytest.mark.parametrize("identified", [False, True])
async def test_a_claim_given_up_while_its_turn_is_prepared_is_held_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, identified: bool
) -> None:
    """What it rolls back is being read. In a session, what comes later does not overtake; elsewhere its wait is ended."""
    monkeypatch.setattr(trail, "MAX_REVISIONS", 1)
    async with running(tmp_path) as daemon:
        session = await daemon.authority.open_session("")
        await attempt(daemon.ask(claim("a"), Identity(session, 1)))
        b, c = daemon.ask(claim("b"), Identity(session, 2) if identified else None), daemon.ask(claim("c"))
        for _ in range(3):
            await daemon.do(write(1))
        await daemon.do(give_up("a"))
        assert await told(daemon.ask(give_up("b"), Identity(session, 3) if identified else None)) == Done()
        assert await (attempt(b) if identified else reason(b)) == (2 if identified else "WORKFLOW_BUSY")
        assert await attempt(c) == (3 if identified else 2)


async def test_a_step_under_which_too_many_have_died_is_told_to_all_that_wait(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a", lease=SOON)))
        await daemon.do(BeginStep("wf", 0, Author("a", "wf", 1)))
        answers = [daemon.ask(claim(name, poison_after=1)) for name in ("b", "c", "d")]
        await daemon.settled()
        assert not any(answer.done() for answer in answers)
        daemon.store.turned += SOON
        for answer in answers:
            assert await reason(answer) == "POISONED_STEP"
        assert await daemon.do(Release("wf", Author("somebody"))) == Done()
        assert await attempt(daemon.ask(claim("e", poison_after=1))) == 2


async def test_the_workflows_are_waited_for_apart(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b = daemon.ask(claim("b"))
        assert await attempt(daemon.ask(claim("c", workflow="other"))) == 1
        await daemon.settled()
        assert not b.done()


async def test_no_more_than_so_many_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING", 1)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        b = daemon.ask(claim("b"))
        assert await reason(daemon.ask(claim("c"))) == "OVERLOADED"
        again = daemon.ask(claim("b"))
        await daemon.do(give_up("a"))
        assert await attempt(again) == 2
        assert not b.done()
        assert await reason(daemon.ask(claim("c", SOON))) == "WORKFLOW_BUSY"


async def test_a_daemon_that_ends_turns_away_all_that_wait_and_all_that_would(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        waits = [daemon.ask(claim(name)) for name in ("b", "c")]
        assert await reason(daemon.ask(claim("d", SOON))) == "WORKFLOW_BUSY"
        daemon.authority.dismiss()
        assert [await reason(answer) for answer in waits] == ["UNAVAILABLE"] * 2
        assert await reason(daemon.ask(claim("e"))) == "UNAVAILABLE"
        assert await reason(daemon.ask(claim("f", 0))) == "WORKFLOW_BUSY"
        await daemon.do(give_up("a"))
        assert await attempt(daemon.ask(claim("e"))) == 2
        late = daemon.ask(claim("g"))
        daemon.authority.drain()
        assert await reason(late) == "UNAVAILABLE"


async def test_a_claim_that_found_it_taken_in_vain_looks_again(tmp_path: Path) -> None:
    """The one before it was granted, in a group for which the store had no room."""
    async with running(tmp_path) as daemon:
        await daemon.settled()
        daemon.store.full = 1
        a, b = daemon.ask(claim("a")), daemon.ask(claim("b"))
        assert await reason(a) == "OVERLOADED"
        assert await attempt(b) == 1


async def test_a_turn_survives_that_another_daemon_has_written(tmp_path: Path) -> None:
    """What was granted is evaluated again, and answered; see ``test_shared_store``."""
    async with running(tmp_path) as one:
        other = Daemon(one.store)
        await attempt(one.ask(claim("a", lease=SOON)))
        b, c = one.ask(claim("b")), one.ask(claim("c"))
        await one.settled()
        assert await other.do(Renew("wf", Author("a", "wf", 1))) == Done()
        one.store.turned += SOON
        assert await attempt(b) == 2
        await one.settled()
        assert not c.done()
        await one.do(give_up("b"))
        assert await attempt(c) == 3
        await other.end()


async def test_one_that_found_it_taken_by_what_another_daemon_has_undone_looks_again(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        other = Daemon(one.store)
        await one.settled()
        assert await attempt(other.ask(claim("x", lease=SOON))) == 1
        a, b = one.ask(claim("a", 0)), one.ask(claim("b"))
        outcome = await told(a)
        assert isinstance(outcome, Refused)
        assert outcome.metadata["holder"] == "x"
        one.store.turned += SOON
        assert await attempt(b) == 2
        await other.end()


class Caller:
    """One that may go, and come back."""

    def __init__(self) -> None:
        self.is_there = True
        self.has_heard = False


async def test_one_that_is_gone_is_not_granted_it_and_has_a_moment_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "GONE_SECONDS", 0.2)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        gone, lost = Caller(), Caller()
        b, c, d = daemon.ask(claim("b"), listener=gone), daemon.ask(claim("c"), listener=lost), daemon.ask(claim("d"))
        await daemon.settled()
        gone.is_there = lost.is_there = False
        await daemon.do(give_up("a"))
        assert await reason(b) == "WORKFLOW_BUSY"
        assert await reason(c) == "WORKFLOW_BUSY"
        assert await attempt(daemon.ask(claim("c"))) == 2, "it has come back to its place"
        await daemon.settled()
        assert not d.done()
        await daemon.do(give_up("c"))
        assert await attempt(d) == 3


async def test_a_grant_that_nobody_has_heard_of_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "GONE_SECONDS", 0.05)
    async with running(tmp_path) as daemon:
        await attempt(daemon.ask(claim("a")))
        caller = Caller()
        b, c = daemon.ask(claim("b"), listener=caller), daemon.ask(claim("c"))
        await daemon.do(give_up("a"))
        assert await attempt(b) == 2
        caller.is_there = False
        assert await attempt(c) == 3


@pytest.mark.parametrize("what", ["heard", "connected", "back in time"])
async def test_a_grant_that_may_have_been_heard_of_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(grants, "GONE_SECONDS", 0.05)
    async with running(tmp_path) as daemon:
        caller = Caller()
        assert await attempt(daemon.ask(claim("a"), listener=caller)) == 1
        b = daemon.ask(claim("b"))
        caller.has_heard = what == "heard"
        caller.is_there = what == "connected"
        if what == "back in time":
            await asyncio.sleep(0.07)
            caller.is_there = True
        await asyncio.sleep(0.3)
        assert not b.done()
        await daemon.do(give_up("a"))
        assert await attempt(b) == 2
