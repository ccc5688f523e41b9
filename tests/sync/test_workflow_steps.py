"""Claims, steps and effects of the blocking client."""

import gc
import subprocess
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.daemons import DaemonProcess
from tests.support.processes import environment, run_script, script, stopped
from tests.support.waiting import wait_until

from lastgood.sync import (
    NOT_DONE,
    AgentStatus,
    Client,
    FencedError,
    InDoubtError,
    InvalidArgumentError,
    LeaseLostError,
    Retry,
    Step,
    StepOrderError,
    WorkflowBusyError,
    connect,
)

SHORT = 1.0
"""Seconds of a lease that is to expire."""
BRISK = 3.0
"""Seconds of one that is not to; it is renewed, and a loss noticed, after a third of them."""
COMPLETED, FAILED = AgentStatus.COMPLETED, AgentStatus.FAILED


@pytest.fixture
def wf(state_id: str) -> str:
    return state_id


@pytest.fixture
def other(daemon: DaemonProcess) -> Iterator[Client]:
    """Another client of the usual daemon, as another process would have."""
    with connect(data_dir=daemon.folder, autostart=False, timeout=20.0) as connected:
        yield connected


def _held(client: Client, wf: str) -> bool:
    status = client.workflow(wf).status()
    return status is not None and status.condition == "held"


def test_a_workflow_from_its_claim_to_its_end(client: Client, other: Client, wf: str) -> None:
    sent: list[str] = []

    def send(what: str) -> int:
        sent.append(what)
        return len(sent)

    with client.workflow(wf, initial_state={"x": 0}) as workflow:
        assert _held(other, wf)
        with pytest.raises(WorkflowBusyError):
            other.workflow(wf).try_resume()
        with workflow.step(0, agent_id="a", metadata={"n": 1}) as step:
            step.state.increment("x")
            assert step.once("send", send, "mail") == 1
            assert step.once("send", send, "mail") == 1
        assert step.checkpoint is not None
        assert (step.checkpoint.status, step.checkpoint.metadata) == (COMPLETED, {"n": 1})
        with pytest.raises(ZeroDivisionError):
            _fail(workflow.step(1, "b"))
        assert workflow.state.to_dict() == {"x": 1}
        assert workflow.rollback is not None
        helper = other.join(workflow.join_token, agent_id="helper")
        helper.set("y", 1)
    assert not _held(client, wf)
    assert sent == ["mail"]
    with other.workflow(wf) as again:
        assert (again.current_step, again.state.to_dict()) == (1, {"x": 1})
        assert [each.status for each in other.checkpoints.list_checkpoints(wf)] == [COMPLETED, FAILED]
        assert [each.key for each in again.list_effects()] == ["send"]
        assert len(again.list_attempts()) == 2
    assert wf in [each.workflow_id for each in client.list_workflows()]


def _fail(step: Step) -> None:
    with step:
        step.state.set("x", "garbage")
        raise ZeroDivisionError


def test_a_step_is_tried_again(client: Client, wf: str) -> None:
    tries: list[float] = []

    def work(step: Step, factor: int) -> int:
        tries.append(step.state.increment("x"))
        if len(tries) < 3:
            raise ValueError
        return factor * 2

    with client.workflow(wf) as workflow:
        assert workflow.step(0, retry=Retry(backoff=0.01)).run(work, 21) == 42
        assert tries == [1, 1, 1]
        with pytest.raises(InvalidArgumentError, match=r"\.run"):
            workflow.step(1, retry=Retry()).__enter__()


def test_an_effect_in_doubt(client: Client, wf: str) -> None:
    asked: list[str] = []

    def ask(key: str) -> object:
        asked.append(key)
        return NOT_DONE

    with client.workflow(wf) as workflow:
        with pytest.raises(ZeroDivisionError):
            workflow.step(0).run(lambda step: step.once("send", lambda: 1 / 0))
        with workflow.step(0) as step:
            with pytest.raises(InDoubtError):
                step.once("send", lambda: 1, in_doubt="raise")
            assert step.once("send", lambda: 2, in_doubt=ask) == 2
            assert asked == [step.idempotency_key("send")]


def test_async_functions_are_refused_before_anything_is_claimed(client: Client, wf: str) -> None:
    async def send() -> int:
        return 1

    def hidden() -> object:
        return send()

    given: Any = send
    with client.workflow(wf) as workflow, workflow.step(0) as step:
        with pytest.raises(InvalidArgumentError, match="plain"):
            step.once("send", given)
        with pytest.raises(InvalidArgumentError, match="plain"):
            step.once("send", lambda: 1, in_doubt=given)
        assert workflow.list_effects() == []
        with pytest.raises(InvalidArgumentError, match="async"):
            step.once("send", hidden)
        (effect,) = workflow.list_effects()
        assert effect.status == "claimed"


def test_the_same_effect_in_many_threads(client: Client, wf: str) -> None:
    calls: list[int] = []

    def send() -> int:
        calls.append(1)
        return len(calls)

    with client.workflow(wf) as workflow, workflow.step(0) as step, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: step.once("send", send), range(8))) == [1] * 8


# The lease


def test_its_lease_is_renewed(client: Client, other: Client, wf: str) -> None:
    def left() -> float:
        status = other.workflow(wf).status()
        assert status is not None
        assert status.lease is not None
        return status.lease.remaining / status.lease.seconds

    with client.workflow(wf, lease=BRISK) as workflow:
        workflow.try_resume()
        for _ in range(2):
            wait_until(lambda: left() < 0.8)
            wait_until(lambda: left() > 0.9)
        workflow.state.set("x", 1)


def test_whoever_forces_it_takes_over(client: Client, other: Client, wf: str) -> None:
    workflow = client.workflow(wf, lease=BRISK)
    reached = []

    def hold() -> None:
        with workflow:
            step = workflow.step(0).__enter__()
            other.workflow(wf).try_resume(force=True)
            with pytest.raises(FencedError):
                workflow.state.set("x", 1)
            wait_until(lambda: _is_lost(step))
            for call in (workflow.try_resume, workflow.clear_checkpoints, workflow.step(0).__enter__):
                with pytest.raises(LeaseLostError):
                    call()
            reached.append("the end")

    with pytest.raises(LeaseLostError) as caught:
        hold()
    assert (caught.value.workflow_id, caught.value.attempt) == (wf, 1)
    assert reached == ["the end"]


def _is_lost(step: Step) -> bool:
    """Whether an effect is refused, without asking the daemon, since the keepalive has heard that the lease is lost."""
    try:
        step.once("send", lambda: 1)
    except FencedError:
        return False
    except LeaseLostError:
        return True
    return False


def test_what_the_body_raises_goes_on_after_a_loss(client: Client, other: Client, wf: str) -> None:
    def hold() -> None:
        with client.workflow(wf, lease=BRISK) as workflow, workflow.step(0):
            other.workflow(wf).try_resume(force=True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        hold()
    assert "rolled back at the next resume" in caught.value.__notes__[0]


HOLD = """
    import sys, time
    from lastgood import sync as lastgood

    try:
        with lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20) as client:
            with client.workflow(sys.argv[2], lease=1) as workflow:
                print("held", flush=True)
                sys.stdin.readline()
    except lastgood.LeaseLostError as error:
        print("lost", error.attempt, flush=True)
"""


@pytest.fixture
def holding(daemon: DaemonProcess, wf: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the workflow."""
    command = script(HOLD, daemon.folder, wf)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_process_that_is_killed_loses_it(client: Client, wf: str, holding: "subprocess.Popen[str]") -> None:
    holding.kill()
    with client.workflow(wf, wait=True) as workflow:
        assert workflow.attempt == 2


def test_a_process_that_stands_still_loses_it_and_notices(client: Client, wf: str, holding: "subprocess.Popen[str]") -> None:
    with stopped(holding.pid), client.workflow(wf, wait=True) as workflow:
        workflow.state.set("mine", 1)
    assert holding.communicate("\n", timeout=30)[0] == "lost 1\n"


def test_whoever_waits_gets_it(client: Client, other: Client, wf: str) -> None:
    entered = threading.Event()

    def wait_for_it() -> int:
        with other.workflow(wf, wait=True) as workflow:
            entered.set()
            return workflow.attempt

    with ThreadPoolExecutor(1) as pool:
        with client.workflow(wf):
            waiting = pool.submit(wait_for_it)
            assert not entered.wait(1.5)
        assert waiting.result(30) == 2


def test_an_object_that_nobody_has_any_more_loses_it(client: Client, other: Client, wf: str) -> None:
    workflow = client.workflow(wf, lease=SHORT)
    workflow.__enter__()
    gone = weakref.ref(workflow)
    del workflow
    gc.collect()
    assert gone() is None
    with other.workflow(wf, wait=True) as again:
        assert again.attempt == 2


def test_before_any_attempt(client: Client, wf: str) -> None:
    with pytest.raises(StepOrderError, match=r"'with workflow'.*'workflow\.try_resume\(\)'"):
        client.workflow(wf).step(0).__enter__()


ENDING = """
    import os, signal, sys, threading, time
    from lastgood import sync as lastgood

    client = lastgood.connect(data_dir=sys.argv[1], autostart=False, timeout=20)
    workflow = client.workflow(sys.argv[2], lease=0.5)
    if sys.argv[3] == "leave":
        workflow.__enter__()
    elif sys.argv[3] == "close":
        workflow.__enter__()
        client.close()
    elif sys.argv[3] == "interrupt":
        try:
            with workflow, workflow.step(0) as step:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(20)
        except KeyboardInterrupt:
            print(step.checkpoint.status, workflow.status().lease)
    elif sys.argv[3] == "stop waiting":
        with client.workflow(sys.argv[2]):
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                with client.workflow(sys.argv[2], wait=True):
                    print("has it")
            except KeyboardInterrupt:
                pass
        with workflow:
            print(workflow.attempt)
"""


@pytest.mark.parametrize(
    ("how", "printed"), [("leave", ""), ("close", ""), ("interrupt", "failed None\n"), ("stop waiting", "2\n")]
)
def test_the_end_is_quiet(daemon: DaemonProcess, wf: str, how: str, printed: str) -> None:
    done = run_script(ENDING, daemon.folder, wf, how, flags=("-W", "error", "-X", "dev"))
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
