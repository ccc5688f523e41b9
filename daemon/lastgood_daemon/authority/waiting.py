"""Claims that wait for a workflow: first come, first served.

A claim that finds the workflow held is kept here until the lease has ended or expired, or until its own time is up. Then
the claimant is told that the workflow is busy, and keeps its place for a while in which it may ask again, under the same id
of its claim. So nobody waits on one call for hours, and the place of one that has gone is soon free:

    held by a      b waits, c waits
    b's time is up b is told, its place is kept           c waits
    b asks again   b waits, c waits
    a gives up     b is evaluated first, and holds it; c is evaluated next, and waits on

A claimant without a connection is granted nothing; its place is kept for a moment, in which it may come back.

A claim whose turn it is leaves. Where it must be evaluated again all the same, because something has to be brought into
memory first or the store has moved, it takes its place again, before all others.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from lastgood_daemon.authority.commands.attempts import Claim
from lastgood_daemon.authority.grants import GONE_SECONDS
from lastgood_daemon.authority.outcomes import Refused
from lastgood_daemon.authority.submission import Listener, Submission
from lastgood_daemon.engine.errors import WorkflowBusyError
from lastgood_daemon.engine.workflow import Workflow

KEPT_SECONDS = 5.0
"""How long a place is kept for a claimant that was told to ask again."""
MAX_WAITING = 10_000
"""Claims that may wait, and places that may be kept."""


class Turn(Enum):
    """That it is a claim's turn."""

    NOW = 0


YOUR_TURN = Turn.NOW


@dataclass(slots=True)
class Place:
    """Where a claim waits; without a submission it is kept for one that was told to ask again."""

    submission: Submission | None
    timer: asyncio.TimerHandle
    busy: WorkflowBusyError | None
    """What it found last; none: others were before it."""
    called: bool = False
    """Whether it has been called up, and is yet to be evaluated again."""


class WaitingRoom:
    """See the module. ``call_up`` gets the claims that are to be evaluated again, in their order."""

    def __init__(self, call_up: Callable[[list[Submission]], None]) -> None:
        self._call_up = call_up
        self._places: dict[str, dict[str, Place]] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._count = 0
        self._closed = False

    def receive(self, submission: Submission, claim: Claim, workflow: Workflow, now: int) -> Refused | Turn | None:
        """Say whether it is a claim's turn; if not, refuse it, or have it wait (nothing: it hears from here)."""
        places = self._places.get(claim.workflow_id, {})
        place = places.get(claim.claim_id)
        if submission.waits and (place is None or place.submission is not submission):
            return None  # it has had its answer meanwhile, or has come again in another call
        busy: WorkflowBusyError | None = None
        try:
            workflow.require_free(now, claim.claim_id)
        except WorkflowBusyError as error:
            busy = error
        # Where it is held and not busy, it is held by this claim: whoever asks has not heard that.
        if busy is None and (workflow.progress.holds(now) or next(iter(places), claim.claim_id) == claim.claim_id):
            if place is not None and submission.waits and not submission.listener.is_there:
                self._keep(place, submission, claim)
                return None
            submission.waits = False
            self._vacate(claim.workflow_id, claim.claim_id)
            return YOUR_TURN
        if not claim.wait:
            return _told(claim.workflow_id, busy)
        if self._closed:
            submission.answer(_CLOSED)
        elif place is None and self._count >= MAX_WAITING:
            submission.answer(Refused("OVERLOADED", "too many claims are waiting; try again later"))
        else:
            self._enter(submission, claim, busy, now)
        return None

    def leave(self, workflow_id: str, claim_id: str) -> bool:
        """End the wait of a claim, and tell whether it waited."""
        place = self._vacate(workflow_id, claim_id)
        if place is not None and place.submission is not None:
            place.submission.answer(_told(workflow_id, place.busy))
        return place is not None

    def take_back(self, submission: Submission) -> None:
        """Have a claim that has waited, and had its turn in vain, be the first until it is evaluated again."""
        claim = submission.command
        if not isinstance(claim, Claim) or submission.waits or submission.until == math.inf:
            return
        submission.waits = True
        if self._closed:
            submission.answer(_CLOSED)
            return
        place = Place(submission, self._timer(submission, claim), None, called=True)
        self._places[claim.workflow_id] = {claim.claim_id: place, **self._places.get(claim.workflow_id, {})}
        self._count += 1

    def freed(self, workflow_id: str) -> None:
        """Have those that wait for a workflow evaluated again."""
        expiry = self._expiries.pop(workflow_id, None)
        if expiry is not None:
            expiry.cancel()
        waiting: list[Submission] = []
        for place in self._places.get(workflow_id, {}).values():
            if place.submission is not None and not place.called:
                place.called = True
                waiting.append(place.submission)
        self._call_up(waiting)

    def close(self) -> None:
        """Tell all that wait, and all that will want to, that they wait in vain."""
        self._closed = True
        places = [place for waiting in self._places.values() for place in waiting.values()]
        for timer in [*self._expiries.values(), *(place.timer for place in places)]:
            timer.cancel()
        self._places, self._expiries, self._count = {}, {}, 0
        for place in places:
            if place.submission is not None:
                place.submission.answer(_CLOSED)

    def _enter(self, submission: Submission, claim: Claim, busy: WorkflowBusyError | None, now: int) -> None:
        """Have a claim wait at its place, or at the end of those that wait.

        ``busy``: what it found, with the time at which that will have changed; none: others are before it, who are called
        up when that has changed, and whose leaving calls up this one.
        """
        if submission.until == math.inf:
            # Once and for all: however often it is evaluated again, waiting ends when it was said to.
            until = asyncio.get_running_loop().time() + claim.wait / 1_000_000
            submission.until = until if submission.deadline is None else min(until, submission.deadline)
        submission.waits = True
        places = self._places.setdefault(claim.workflow_id, {})
        held = places.get(claim.claim_id)
        if held is None:
            self._count += 1
        else:
            held.timer.cancel()
        places[claim.claim_id] = Place(submission, self._timer(submission, claim), busy)
        if busy is not None:
            self._ring(claim.workflow_id, (busy.until - now) / 1_000_000)

    def _timer(self, submission: Submission, claim: Claim) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(submission.until, self._time_is_up, claim)

    def _vacate(self, workflow_id: str, claim_id: str) -> Place | None:
        """Take a place away, and let the others move up."""
        places = self._places.get(workflow_id, {})
        place = places.pop(claim_id, None)
        if place is None:
            return None
        place.timer.cancel()
        self._count -= 1
        if places:
            self._ring(workflow_id, 0.0)
        else:
            del self._places[workflow_id]
        return place

    def _ring(self, workflow_id: str, seconds: float) -> None:
        """Look again by then."""
        earlier = self._expiries.pop(workflow_id, None)
        if earlier is not None:
            earlier.cancel()
        timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), self.freed, workflow_id)
        self._expiries[workflow_id] = timer

    def _time_is_up(self, claim: Claim) -> None:
        place = self._places.get(claim.workflow_id, {}).get(claim.claim_id)
        if place is None or place.submission is None:
            return
        self._keep(place, place.submission, claim)

    def _keep(self, place: Place, submission: Submission, claim: Claim) -> None:
        """Tell a claimant to ask again, and keep its place for as long as it is there, or may be about to come back."""
        place.submission = None
        place.called = False
        self._look_later(place, submission.listener, claim, KEPT_SECONDS)
        submission.answer(_told(claim.workflow_id, place.busy))

    def _look_later(self, place: Place, listener: Listener, claim: Claim, seconds: float) -> None:
        pause = min(GONE_SECONDS, seconds)
        loop = asyncio.get_running_loop()
        place.timer = loop.call_later(pause, self._look, place, listener, claim, seconds - pause)

    def _look(self, place: Place, listener: Listener, claim: Claim, seconds: float) -> None:
        if seconds > 0 and listener.is_there:
            self._look_later(place, listener, claim, seconds)
        else:
            self.leave(claim.workflow_id, claim.claim_id)


_CLOSED = Refused("UNAVAILABLE", "the daemon is shutting down; nothing was written")


def _told(workflow_id: str, busy: WorkflowBusyError | None) -> Refused:
    """Say what keeps a claim from its workflow: who holds it, or those who came first."""
    if busy is not None:
        return Refused.because(busy)
    return Refused(
        "WORKFLOW_BUSY", f"others wait for workflow {workflow_id!r}, and came first", {"workflow_id": workflow_id}
    )
