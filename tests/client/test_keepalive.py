"""The keepalive of a claim: when it renews, and when it says that the lease is lost."""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.support.waiting import until

from lastgood import ClientUnusableError, DaemonUnavailableError, FencedError, LeaseLostError, OutcomeUnknownError
from lastgood.operations import RENEW
from lastgood.transport.keepalive import Keepalive
from lastgood_proto.v1.workflows_pb2 import RenewRequest

LEASE = 0.3


class Connection:
    """Answers renewals as it is told to: with the errors one after the other, the last of them for ever."""

    timeout = 5.0
    is_beside = False

    def __init__(self, *answers: Exception | None) -> None:
        self.asked: list[tuple[float, int, float]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._answers = list(answers)
        self.task: asyncio.Task[None] | None = None

    def answers(self, answers: list[Exception | None]) -> None:
        self._answers = list(answers)

    def spawn(self, function: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        task = self.task = asyncio.get_running_loop().create_task(function(self))

        def end() -> None:
            task.cancel()

        return end

    async def call(self, operation: object, request: RenewRequest, *, timeout: float) -> None:
        assert operation is RENEW
        assert request.context.fence.workflow_id == request.workflow_id == "wf"
        self.asked.append((time.monotonic(), request.context.fence.attempt, timeout))
        await self.may_answer.wait()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is not None:
            raise answer


class Claim:
    """A keepalive, and whether it has said that its lease is lost."""

    def __init__(self, connection: Connection, *, lease: float = LEASE, age: float = 0.0) -> None:
        self.lost = 0
        self.begun = time.monotonic()
        self.keepalive = Keepalive("wf", 1, lease, asked=self.begun - age, on_loss=self._lose)
        self.keepalive.begin(connection)

    def _lose(self) -> None:
        self.lost += 1


async def _ended(connection: Connection) -> None:
    assert connection.task is not None
    await asyncio.wait([connection.task])


async def test_it_renews_when_a_third_has_passed() -> None:
    connection = Connection(None)
    claim = Claim(connection)
    await until(lambda: len(connection.asked) == 3)
    times = [claim.begun, *(at for at, _, _ in connection.asked)]
    assert all(later - earlier >= LEASE / 3 for earlier, later in itertools.pairwise(times))
    assert (claim.lost, claim.keepalive.lost) == (0, "")
    claim.keepalive.end()
    claim.keepalive.end()
    await _ended(connection)
    assert claim.lost == 0


async def test_one_that_has_waited_is_renewed_at_once() -> None:
    connection = Connection(None)
    claim = Claim(connection, lease=3000.0, age=1001.0)
    await until(lambda: len(connection.asked) == 1)
    assert claim.lost == 0
    claim.keepalive.end()


@pytest.mark.parametrize("error", [DaemonUnavailableError("away"), OutcomeUnknownError("away")])
async def test_what_passes_is_tried_again_until_the_time_has_passed(error: Exception) -> None:
    connection = Connection(error, error, None, error)
    claim = Claim(connection)
    await _ended(connection)
    assert len(connection.asked) >= 4
    renewed = connection.asked[2][0]
    assert time.monotonic() >= renewed + LEASE, "it counts from the last renewal"
    assert all(timeout <= LEASE for _, _, timeout in connection.asked)
    assert (claim.lost, claim.keepalive.expired) == (1, True)
    assert "not renewed" in claim.keepalive.lost


@pytest.mark.parametrize("error", [FencedError("a later one"), LeaseLostError("too late")])
async def test_what_the_daemon_says_counts_at_once(error: Exception) -> None:
    connection = Connection(None, error)
    claim = Claim(connection)
    await _ended(connection)
    assert (len(connection.asked), claim.lost) == (2, 1)
    assert (claim.keepalive.lost, claim.keepalive.expired) == (str(error), False)


async def test_a_renewal_that_takes_too_long_does_not_hide_the_loss() -> None:
    connection = Connection(DaemonUnavailableError("away"))
    connection.may_answer.clear()
    claim = Claim(connection)
    await until(lambda: time.monotonic() > claim.begun + LEASE)
    connection.may_answer.set()
    await _ended(connection)
    assert (len(connection.asked), claim.lost) == (1, 1)


async def test_past_its_time_a_silent_daemon_beside_it_is_asked() -> None:
    """It stands still, and has let go of nothing."""
    connection = Connection(OutcomeUnknownError("silent"))
    connection.is_beside = True
    claim = Claim(connection)
    await until(lambda: time.monotonic() > claim.begun + 2 * LEASE)
    assert claim.lost == 0
    connection.answers([None])
    asked = len(connection.asked)
    await until(lambda: len(connection.asked) >= asked + 2)
    assert claim.lost == 0
    connection.answers([LeaseLostError("too late")])
    await _ended(connection)
    assert (claim.lost, claim.keepalive.lost) == (1, "too late")


async def test_past_its_time_it_is_lost_when_the_daemon_beside_it_has_gone() -> None:
    connection = Connection(OutcomeUnknownError("silent"))
    connection.is_beside = True
    claim = Claim(connection)
    await until(lambda: time.monotonic() > claim.begun + 2 * LEASE)
    connection.is_beside = False
    await _ended(connection)
    assert (claim.lost, claim.keepalive.expired) == (1, True)


async def test_a_closed_client_ends_it_quietly() -> None:
    connection = Connection(ClientUnusableError("closed"))
    claim = Claim(connection)
    await _ended(connection)
    assert (len(connection.asked), claim.lost, claim.keepalive.lost) == (1, 0, "")


async def test_that_the_old_attempt_is_over_is_no_loss_while_the_lease_moves() -> None:
    connection = Connection(FencedError("a later one"))
    claim = Claim(connection)
    with claim.keepalive.moving():
        await until(lambda: len(connection.asked) == 2)
        assert claim.lost == 0
        claim.keepalive.attempt = 2
    await until(lambda: claim.lost == 1)
    assert connection.asked[-1][1] == 2


async def test_nor_is_an_answer_that_comes_after_the_lease_has_moved() -> None:
    connection = Connection(FencedError("a later one"), None)
    connection.may_answer.clear()
    claim = Claim(connection)
    await until(lambda: len(connection.asked) == 1)
    with claim.keepalive.moving():
        claim.keepalive.attempt = 2
    connection.may_answer.set()
    await until(lambda: len(connection.asked) == 3)
    assert claim.lost == 0
    assert [attempt for _, attempt, _ in connection.asked] == [1, 2, 2]
    claim.keepalive.end()


async def test_once_it_is_ended_nothing_is_lost() -> None:
    connection = Connection(FencedError("a later one"))
    connection.may_answer.clear()
    claim = Claim(connection)
    await until(lambda: len(connection.asked) == 1)
    connection.may_answer.set()
    claim.keepalive.end()
    await _ended(connection)
    assert (claim.lost, claim.keepalive.lost) == (0, "")
