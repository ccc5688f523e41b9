"""What comes in one message is answered in one, although others have turns in between: a message costs more than a call."""

import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.sessions import RawSession, increment, read

from lastgood_daemon.authority import committer
from lastgood_daemon.authority.commands.states import DeleteState
from lastgood_daemon.authority.outcomes import Done
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.log import Author
from lastgood_daemon.rpc import connection
from lastgood_daemon.rpc.unsettled import UnsettledWrites
from lastgood_daemon.store.sqlite import writing
from lastgood_proto.v1 import session_pb2

CALLS = 50
TURN = 0.5


def turns_after_each_call() -> None:
    connection.SLICE_SECONDS = connection.LONGEST_SLICE_SECONDS = -1.0


def commits_that_outlast_a_turn() -> None:
    connection.SLICE_SECONDS = connection.LONGEST_SLICE_SECONDS = 10.0
    committer.TURN_SECONDS = committer.ANSWERING_SECONDS = TURN
    commit = writing.commit

    def slow(*arguments: object) -> object:
        time.sleep(1.2 * TURN)
        return commit(*arguments)  # type: ignore[arg-type]

    writing.commit = slow  # type: ignore[assignment]


def no_time_for_more_than_64_calls() -> None:
    connection.SLICE_SECONDS = -1.0
    connection.LONGEST_SLICE_SECONDS = 10.0


@pytest.mark.parametrize(
    ("mutant", "call"),
    [
        (turns_after_each_call, read),
        (no_time_for_more_than_64_calls, increment),
        (commits_that_outlast_a_turn, increment),
    ],
)
async def test_the_calls_of_a_message_are_answered_in_one(
    tmp_path: Path, mutant: Callable[[], None], call: Callable[[int, str], session_pb2.Call]
) -> None:
    daemon = DaemonProcess(tmp_path / "data", forked=True, mutant=mutant).start()
    try:
        async with RawSession(daemon.address) as session:
            await session.call(increment(1, "s"))
            calls = [call(number, "s") for number in range(2, 2 + CALLS)]
            await session.send(session_pb2.SessionRequest(calls=calls))
            response = await session.receive()
            assert response is not None
            assert len(response.replies) == CALLS
    finally:
        daemon.close()


def test_a_write_that_is_settled_is_freed_without_the_garbage_collector() -> None:
    def written() -> None:
        writes = UnsettledWrites()
        write = writes.begin(1)
        submission = Submission(DeleteState(StateRef("s", 0), Author("a")), lambda _: writes.settle(write))
        writes.note(write, submission)
        submission.answer(Done())

    gc.collect()
    gc.disable()
    try:
        written()
        assert gc.collect() == 0
    finally:
        gc.enable()
