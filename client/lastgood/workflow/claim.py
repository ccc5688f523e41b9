"""The claim of a workflow: waits for its turn, holds it by a lease that is kept alive, and gives it up."""

import math
import os
import socket
import time
import weakref
from contextlib import AbstractContextManager, nullcontext
from uuid import uuid4

from lastgood.errors import (
    DaemonUnavailableError,
    IncompatibleDaemonError,
    LastgoodError,
    LeaseLostError,
    OutcomeUnknownError,
    WorkflowBusyError,
)
from lastgood.operations import CLAIM, GIVE_UP
from lastgood.transport.connection import Connection
from lastgood.transport.keepalive import Keepalive
from lastgood.transport.primitives import Interruption, pause, to_its_end
from lastgood_proto.v1.common_pb2 import ChangeContext, Value
from lastgood_proto.v1.workflows_pb2 import ClaimRequest, ClaimResponse, GiveUpRequest

_WAIT_SECONDS = 1.0
"""How long the daemon holds each question of whoever waits. It keeps the place of one who asks again at once."""
_PAUSE = 0.2
_PARTING_SECONDS = 1.0
"""How long is tried to give up what may not be held at all."""


class Claim:
    """One hold on a workflow. It is there from the moment when it is asked for.

    Attributes:
        holder: who holds it, for people.
    """

    def __init__(self, connection: Connection, workflow_id: str, agent_id: str, lease: float) -> None:
        self.holder = agent_id or f"process {os.getpid()} on {socket.gethostname()}"
        self._connection = connection
        self._workflow_id = workflow_id
        self._agent_id = agent_id
        self._lease = lease
        self._claim_id = uuid4().hex
        self._keepalive: Keepalive | None = None
        self._interruption = Interruption()

    async def take(self, initial_state: Value | None, poison_after: int, *, wait: bool) -> ClaimResponse:
        """Claim the workflow.

        Raises:
            WorkflowBusyError: somebody else holds it, and ``wait`` is not set.
        """
        request = ClaimRequest(
            context=ChangeContext(agent_id=self._agent_id),
            workflow_id=self._workflow_id,
            initial_state=initial_state,
            poison_after=poison_after,
            claim_id=self._claim_id,
            holder=self.holder,
            lease_ms=math.ceil(self._lease * 1000),
            wait_ms=int(_WAIT_SECONDS * 1000) if wait else 0,
        )
        try:
            while True:
                asked = time.monotonic()
                answer = await (self._ask_and_wait(request) if wait else self._connection.call(CLAIM, request))
                if answer is not None:
                    break
            # A claim that has waited renews at once: that tells the daemon that it has heard of the grant.
            self._hold(answer.attempt, -math.inf if wait else asked)
        except BaseException as error:
            if not isinstance(error, LastgoodError) or isinstance(error, OutcomeUnknownError):
                await to_its_end(self._give_up, _PARTING_SECONDS)  # it may have been granted
            raise
        return answer

    async def _ask_and_wait(self, request: ClaimRequest) -> ClaimResponse | None:
        """Ask once; None: it is not our turn yet, or the daemon is away, or has answered in vain."""
        try:
            return await self._connection.call(CLAIM, request, timeout=self._connection.timeout + _WAIT_SECONDS)
        except (WorkflowBusyError, OutcomeUnknownError):
            return None
        except IncompatibleDaemonError:
            raise
        except DaemonUnavailableError:
            await pause(_PAUSE)
            return None

    def moving(self) -> AbstractContextManager[None]:
        """While its holder begins a later attempt, which holds it from then on."""
        return nullcontext() if self._keepalive is None else self._keepalive.moving()

    def move(self, attempt: int) -> None:
        """Hold it by that attempt."""
        if self._keepalive is not None:
            self._keepalive.attempt = attempt

    def check(self) -> None:
        """Raise LeaseLostError where it is lost."""
        if self._keepalive is not None and self._keepalive.lost:
            raise self._loss(self._keepalive)

    async def end(self, error: BaseException | None) -> None:
        """Give it up, after work that has ended with that error or none.

        Raises:
            LeaseLostError: the claim is lost, and nothing else has ended the work.
        """
        kept = self._keepalive
        if kept is None:
            return
        kept.end()
        self._connection.claimed.discard(self._workflow_id)
        try:
            interrupted = await self._interruption.take_back(error)
        finally:
            if not kept.lost and not await to_its_end(self._give_up, self._connection.timeout):
                kept.lost = "a later attempt has begun"
            elif kept.expired:  # which the daemon may not know
                await to_its_end(self._give_up, _PARTING_SECONDS)
        if kept.lost and (error is None or interrupted):
            raise self._loss(kept) from error

    def _hold(self, attempt: int, asked: float) -> None:
        on_loss = self._interruption.make
        self._keepalive = Keepalive(self._workflow_id, attempt, self._lease, asked=asked, on_loss=on_loss)
        self._keepalive.begin(self._connection)
        self._connection.claimed.add(self._workflow_id)
        weakref.finalize(self, self._keepalive.end).atexit = False

    async def _give_up(self, timeout: float) -> bool:
        """Give it up, and tell whether it was there. It expires where that cannot be said to the daemon."""
        request = GiveUpRequest(
            context=ChangeContext(agent_id=self._agent_id), workflow_id=self._workflow_id, claim_id=self._claim_id
        )
        try:
            answer = await self._connection.call(GIVE_UP, request, timeout=timeout)
        except LastgoodError:
            return True
        return answer.existed

    def _loss(self, kept: Keepalive) -> LeaseLostError:
        text = f"this process no longer holds workflow {self._workflow_id!r}: {kept.lost}"
        return LeaseLostError(text, workflow_id=self._workflow_id, attempt=kept.attempt)
