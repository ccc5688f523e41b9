"""The one place where anything changes: group commit.

Commands wait in a queue. The committer takes all that wait, evaluates them one after the other on a layer over the world,
has the store commit the layer as one transaction, makes it part of the world, and only then answers. While the store is at
its fsync the next ones gather; so the slower the disk, the larger the groups.

    queue   [set, set, restore]                     what came in while the last group was at its fsync
    layer   revision 7, 8, 9 on top of the world    evaluated; nobody else can see them
    store   one transaction, one fsync
    world   9                                       readers see 9 from here on
    answer  7, 8, 9

What goes wrong is decided here, too: a refused command is answered (and remembered) like any other; one that needs
something that is not in memory waits for it and is evaluated again; so is a group under which the store has moved, once what
it builds on has been read anew; a full disk refuses the group and goes on; a disk that fails leaves the outcome unknown, and
the daemon must end.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from lastgood_daemon.authority.background import Background
from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.attempts import Claim
from lastgood_daemon.authority.commands.leases import GiveUp
from lastgood_daemon.authority.grants import Grants
from lastgood_daemon.authority.holding import FAULT, Held, missing_of, outcome_of
from lastgood_daemon.authority.imaging import is_due, write_image
from lastgood_daemon.authority.indexing import Indexing
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.outcomes import Done, EffectKnown, Outcome, Refused, Resumed
from lastgood_daemon.authority.queue import Queue
from lastgood_daemon.authority.sessions import Identity
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.waiting import YOUR_TURN, WaitingRoom
from lastgood_daemon.authority.world import NotLoadedError, Reader, World
from lastgood_daemon.engine.retention import Retention
from lastgood_daemon.store.protocol import (
    CorruptRecordError,
    Moved,
    Store,
    StoreBrokenError,
    StoreFullError,
    Unit,
)

MAX_GROUP = 256
"""Commands of one transaction."""
TURN_SECONDS = 0.002
"""Evaluating commands, before others have a turn."""
ANSWERING_SECONDS = 0.004
"""Answering them. Four times what those of 64 tasks of a client take, so that a busy machine has time for them, too: a
client that is answered in two halves goes on in two halves, and each costs as much as the whole."""
MAX_GROUP_BYTES = 64 * 1024 * 1024
"""Bytes after which a transaction takes no more commands."""
MAX_WAITING = 16_384
"""Commands that may wait."""
MAX_WAITING_BYTES = 128 * 1024 * 1024
"""Bytes that waiting commands may carry."""

MOST_MOVES = 100
"""Tries of a command under which the store moves."""

SHUTTING_DOWN = Refused("UNAVAILABLE", "the daemon is shutting down; nothing was written")

log = logging.getLogger(__name__)


class Committer:
    """See the module."""

    def __init__(self, store: Store, world: World, loader: Loader, background: Background, indexing: Indexing) -> None:
        self._store = store
        self._background = background
        self._indexing = indexing
        self._world = world
        self._loader = loader
        self._queue = Queue()
        self._waiting_room = WaitingRoom(self._call_up)
        self._grants = Grants(self._is_held, self._give_up)
        self._held = Held(store, world, loader, self._call_up, self.fail)
        self._bytes = 0
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._draining = False
        self.broken: StoreBrokenError | None = None
        """Set when the storage has failed: nothing is accepted any more, and the daemon must end."""

    def submit(self, submission: Submission) -> None:
        """Take a command. What it comes to is delivered later, or at once where it cannot be taken."""
        if self._draining or self.broken:
            submission.answer(SHUTTING_DOWN)
        elif len(self._queue) >= MAX_WAITING or self._bytes + submission.command.size > MAX_WAITING_BYTES:
            submission.answer(Refused("OVERLOADED", "too many writes are waiting; nothing was written, try again later"))
        else:
            self._bytes += submission.command.size
            self._queue.append(submission)
            self._wake.set()

    async def run(self) -> None:
        """Commit until ``drain`` has been called and nothing waits any more.

        Raises:
            StoreBrokenError: the storage has failed.
        """
        while True:
            while not self._queue:
                if self.broken is not None:
                    raise self.broken
                if self._draining and not self._held:
                    return
                self._world.let_go()
                self._wake.clear()
                await self._wake.wait()
            async with self._turn:
                await self._commit(self._next_group())
            if self.broken is not None:
                raise self.broken

    def drain(self) -> None:
        """Take nothing more, and let ``run`` return when all that waits is done."""
        self._draining = True
        self.dismiss()
        self._wake.set()

    async def perform(self, command: Command) -> Outcome:
        """Hand in a command, and wait for what it comes to."""
        answered, deliver = _awaited()
        self.submit(Submission(command, deliver))
        return await answered

    async def rehearse(self, command: Command, policy: tuple[str, Retention] | None = None) -> Outcome:
        """Return what a command would come to at this moment; it changes nothing.

        Args:
            command: what would be handed in.
            policy: whose retention policy to take for set, and which.
        """

        def evaluate(_: Reader) -> Outcome:
            layer = Layer(self._world)
            if policy is not None:
                layer.put_retention(*policy)
            return command.evaluate(layer, self._store.now())

        return await self._loader.ask(evaluate)

    def dismiss(self) -> None:
        """Turn away the claims that wait for a workflow: the next daemon will have them."""
        self._waiting_room.close()

    def fail(self, error: StoreBrokenError) -> None:
        """Have ``run`` end because the storage has failed, wherever that was noticed."""
        self.broken = self.broken or error
        self._wake.set()

    async def moment(self) -> int:
        """Give a time: all that was evaluated before it has been answered, and what was to be written is durable."""
        async with self._turn:
            return self._store.now()

    async def alone(self, prepare: Callable[[], Awaitable[Command]]) -> Outcome:
        """Commit a command that is prepared while nothing else is being committed."""
        answered, deliver = _awaited()
        async with self._turn:
            submission = Submission(await prepare(), deliver)
            self._world.workings.release_all()
            # It may not wait for something among the others.
            while (missing := missing_of(self._world, submission, self._store.now())) is not None:
                await self._loader.bring(missing)
            if self._draining or self.broken:
                return SHUTTING_DOWN
            await self._commit([submission])
            self._wake.set()  # it may have to be evaluated again, or have met a broken store
        return await answered

    async def expire_sessions(self, before: int) -> int:
        """Forget the sessions that were last written before a time; how many. Never while a group is being committed."""
        async with self._turn:
            expired = await self._store.expire("session", before)
            if expired:
                self._world.forget_sessions()
        return expired

    def _next_group(self) -> list[Submission]:
        group: list[Submission] = []
        size = 0
        while self._queue and len(group) < MAX_GROUP and size < MAX_GROUP_BYTES:
            group.append(self._queue.pop())
            size += group[-1].command.size
        self._bytes -= size
        return group

    async def _commit(self, group: Sequence[Submission]) -> None:
        now = self._store.now()
        self._world.let_go()
        self._world.trim(now)
        layer = Layer(self._world)
        answers: list[tuple[Submission, Outcome | None]] = []
        turns = _Turns(TURN_SECONDS)
        try:
            for submission in group:
                answers.append((submission, self._evaluate(layer, submission, now)))
                if turns.is_over:
                    self._world.in_flight = layer.names
                    await turns.next()
            unit = layer.unit(self._world)
            self._world.in_flight = layer.names
            refusal = None if unit is None else await self._store_unit(layer, unit)
        except _MovedError as moved:
            log.info("someone else has written to the store; evaluating again: %s", moved)
            layer.forget(self._world)
            for submission, _ in reversed(answers):
                self._waiting_room.take_back(submission)
            self._look_again(layer)
            self._queue_again([each for each, outcome in answers if outcome is not None and self._may_try_again(each)])
            return
        except CorruptRecordError as error:
            log.error("a group met damage; nothing of it was written: %s", error)  # noqa: TRY400 - expected, no traceback
            if len(group) > 1:
                await self._commit_singly(layer, answers)
                return
            refusal = Refused("CORRUPT", str(error))
        finally:
            self._world.in_flight = set()
        self._look_again(layer)
        await self._answer(answers, refusal)

    async def _answer(self, answers: Sequence[tuple[Submission, Outcome | None]], refusal: Refused | None) -> None:
        """Tell what the commands of a group have come to; ``refusal``: why none of it was written."""
        turns = _Turns(ANSWERING_SECONDS)
        for submission, outcome in answers:
            if outcome is not None:
                submission.answer(outcome if refusal is None else self._recalled(submission.identity) or refusal)
                command = submission.command
                if isinstance(command, Claim) and command.wait and refusal is None and isinstance(outcome, Resumed):
                    self._grants.watch(command, submission.listener)
            if turns.is_over:
                await turns.next()

    async def _commit_singly(self, layer: Layer, answers: Sequence[tuple[Submission, Outcome | None]]) -> None:
        """Commit the commands of a group that met damage one by one, so that it refuses only those that touch it."""
        for submission, _ in reversed(answers):
            self._waiting_room.take_back(submission)
        self._look_again(layer)
        for submission, outcome in answers:
            if outcome is not None and not submission.answered:
                if self.broken is not None:
                    submission.answer(SHUTTING_DOWN)
                else:
                    await self._commit([submission])

    def _may_try_again(self, submission: Submission) -> bool:
        """Count a try in vain. With so many it is a fault of ours, and must not keep the daemon busy for ever."""
        submission.moves += 1
        if submission.moves > MOST_MOVES:
            log.error("giving up %s: the store moves under it again and again", type(submission.command).__name__)
            submission.answer(FAULT)
        return not submission.answered

    def _recalled(self, identity: Identity | None) -> Outcome | None:
        """Give the durable answer that a request has had: what fails with its group is not what it came to before."""
        session = None if identity is None else self._world.sessions.get(identity.session_id)
        return None if session is None or identity is None else session.recall(identity)

    async def _store_unit(self, layer: Layer, unit: Unit) -> Refused | None:
        """Make a layer durable and part of the world; where that fails, give what is to be answered instead."""
        try:
            (outcome,) = await self._store.commit([unit])
        except StoreFullError as error:
            log.warning("the disk is full; writes are refused until there is room: %s", error)
            return Refused("OVERLOADED", f"the daemon's disk is full; nothing was written: {error}")
        except StoreBrokenError as error:
            self.broken = error
            return Refused("OUTCOME_UNKNOWN", f"the daemon's storage failed; what was written is unknown: {error}")
        if isinstance(outcome, Moved):
            raise _MovedError(outcome.what)
        layer.publish(self._world, unit)
        for state in layer.staged.states.values():
            if is_due(self._world, state):
                self._background.submit(("image", state.state_id), partial(write_image, self._store, self._world, state))
        for append in unit.appends:
            self._indexing.note(append)
            self._world.spent(row.entry for row in append.rows)
        return None

    def _look_again(self, layer: Layer) -> None:
        """Have those that wait for a workflow of a group evaluated again, if nobody holds it after all."""
        now = self._store.now()
        for workflow_id in layer.staged.workflows:
            workflow = self._world.workflows.get(workflow_id)
            if workflow is None or not workflow.progress.holds(now):
                self._waiting_room.freed(workflow_id)

    def _evaluate(self, batch: Layer, submission: Submission, now: int) -> Outcome | None:
        """Evaluate a command; nothing where it waits for something to be brought into memory."""
        if submission.deadline is not None and asyncio.get_running_loop().time() > submission.deadline:
            return Refused("DEADLINE_EXCEEDED", "the time of the call had passed before its turn; nothing was written")
        identity = submission.identity
        try:
            self._held.keep_order(submission)
            recalled = None if identity is None else batch.session(identity.session_id).recall(identity)
            if recalled is not None:
                return recalled
            outcome = self._turn_of(submission, batch, now)
            if outcome is None:
                return None
        except NotLoadedError as missing:
            self._held.take(submission, missing.need)
            return None
        except Exception:
            # A fault of ours must not take the daemon, and everybody's state, down with it.
            log.exception("evaluating %s failed", type(submission.command).__name__)
            return FAULT
        if identity is not None and not isinstance(outcome, EffectKnown):
            batch.own_session(identity.session_id).record(identity, outcome)
        return outcome

    def _turn_of(self, submission: Submission, batch: Layer, now: int) -> Outcome | None:
        """Evaluate a command, if it is its turn; nothing where it waits for a workflow that somebody holds."""
        command, room = submission.command, self._waiting_room
        if isinstance(command, Claim):
            answer = room.receive(submission, command, batch.workflow(command.workflow_id), now)
            if answer is not YOUR_TURN:
                return answer
        try:
            outcome = outcome_of(batch, submission, now)
        except NotLoadedError:
            room.take_back(submission)
            raise
        waited = isinstance(command, GiveUp) and room.leave(command.workflow_id, command.claim_id)
        return Done() if waited else outcome

    def _is_held(self, claim: Claim) -> bool:
        workflow = self._world.workflows.get(claim.workflow_id)
        lease = None if workflow is None else workflow.progress.lease
        return lease is not None and lease.claim_id == claim.claim_id and lease.is_live(self._store.now())

    def _give_up(self, claim: Claim) -> None:
        log.info("giving up the lease of %s on %r: it was gone before it heard of it", claim.holder, claim.workflow_id)
        self.submit(Submission(GiveUp(claim.workflow_id, claim.claim_id), lambda _: None))

    def _call_up(self, submissions: Sequence[Submission]) -> None:
        """Have claims that waited evaluated before anything else."""
        self._queue_again(submissions)
        self._wake.set()

    def _queue_again(self, submissions: Sequence[Submission]) -> None:
        """Put commands that have been evaluated in vain in front of those that have not."""
        self._queue.put_first(submissions)
        self._bytes += sum(submission.command.size for submission in submissions)


class _Turns:
    """Lets others have the event loop when one has had it for a while."""

    def __init__(self, seconds: float) -> None:
        """Begin the first turn; each takes so long."""
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether it has been a while."""
        return time.monotonic() > self._ends

    async def next(self) -> None:
        """Wait for the next turn."""
        await asyncio.sleep(0)
        self._ends = time.monotonic() + self._seconds


class _MovedError(Exception):
    """Somebody else has written what the group builds on."""


def _awaited() -> tuple[asyncio.Future[Outcome], Callable[[Outcome], None]]:
    """Give what somebody waits for, and what delivers it."""
    answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def deliver(outcome: Outcome) -> None:
        if not answered.done():  # whoever waited may have been cut off
            answered.set_result(outcome)

    return answered, deliver
