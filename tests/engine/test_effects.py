"""Effects in the ledger of a workflow: what is known of each, in which order, and when its place is free again."""

import pytest
from tests.engine.test_workflow import mark

from lastgood_daemon.engine.effect import CLAIMED, DONE, FAILED, RECORDED, Effect, Failure
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.state import State
from lastgood_daemon.engine.workflow import Workflow
from lastgood_proto.effects import idempotency_key

FAILURE = Failure("ValueError", "no", b"\x91\x01")


def effect(step: int, key: str = "mail", line: int = 0, *, claimed_at: int = 10, attempt: int = 1) -> Effect:
    return Effect(
        workflow_id="wf",
        step=step,
        key=key,
        line=line,
        idempotency_key=idempotency_key("store", "wf", line, step, key),
        status=CLAIMED,
        attempt=attempt,
        agent_id="ann",
        claimed_at=claimed_at,
    )


def ledger(*effects: Effect) -> Workflow:
    workflow = Workflow("wf").begin_attempt(State("wf"), "ann", 0, by_itself=False)
    for each in effects:
        workflow = workflow.enter(each)
    return workflow


def places(effects: list[Effect]) -> list[tuple[int, str, int, bool]]:
    return [(*each.order, each.superseded) for each in effects]


@pytest.mark.parametrize(
    ("result", "failure", "status"),
    [
        (b"\x01", None, RECORDED),
        (None, FAILURE, FAILED),
        (b"\x01", FAILURE, FAILED),
        (None, None, DONE),
        (b"", None, RECORDED),
    ],
)
def test_what_came_of_it(result: bytes | None, failure: Failure | None, status: int) -> None:
    recorded = effect(1).recorded(result, failure, 20)
    assert (recorded.status, recorded.result, recorded.failure, recorded.recorded_at) == (status, result, failure, 20)
    assert (recorded.claimed_at, recorded.runs, recorded.in_doubt) == (10, 1, False)


def test_claimed_again_it_is_in_doubt_for_good_and_keeps_its_key_and_its_begin() -> None:
    again = effect(1).claimed_again(2, "bob")
    assert (again.runs, again.in_doubt, again.attempt, again.agent_id) == (2, True, 2, "bob")
    assert (again.idempotency_key, again.claimed_at, again.line) == (effect(1).idempotency_key, 10, 0)
    assert again.claimed_again(3, "cid").runs == 3
    assert again.recorded(b"\x01", None, 20).in_doubt


def test_lists_show_failures_and_no_results() -> None:
    assert effect(1).recorded(b"\x01", None, 20).without_result().result is None
    assert effect(1).recorded(None, FAILURE, 20).without_result().failure == FAILURE


def test_they_are_listed_by_step_then_key_then_line() -> None:
    workflow = ledger(effect(10), effect(2, "b"), effect(2, "a"), effect(3))
    assert [each.order for each in workflow.effects_from(3)] == [(3, "mail", 0), (10, "mail", 0)]
    workflow, _ = workflow.back_to(mark(1, 1), 0)
    workflow = workflow.enter(effect(2, "b", line=1)).enter(effect(2, "a", line=1))
    assert places(workflow.all_effects()) == [
        (2, "a", 0, True),
        (2, "a", 1, False),
        (2, "b", 0, True),
        (2, "b", 1, False),
        (3, "mail", 0, True),
        (10, "mail", 0, True),
    ]
    assert [each.order for each in workflow.effects_from(0)] == [(2, "a", 1), (2, "b", 1)]


def test_going_back_twice_keeps_both_lines_apart() -> None:
    workflow = ledger(effect(1), effect(2))
    workflow, first = workflow.back_to(mark(1, 1), 0)
    workflow, second = workflow.enter(effect(2, line=1)).back_to(mark(1, 1), 0)
    assert [each.order for each in (*first, *second) if isinstance(each, Effect)] == [(2, "mail", 0), (2, "mail", 1)]
    workflow = workflow.enter(effect(2, line=2))
    assert places(workflow.all_effects()) == [
        (1, "mail", 0, False),
        (2, "mail", 0, True),
        (2, "mail", 1, True),
        (2, "mail", 2, False),
    ]
    assert len({each.idempotency_key for each in workflow.all_effects()}) == 4


def test_clearing_the_ledger_of_a_step_takes_all_its_lines_and_begins_a_new_one() -> None:
    workflow, _ = ledger(effect(1), effect(2)).back_to(mark(1, 1), 0)
    workflow = workflow.enter(effect(2, line=1)).enter(effect(3, line=1))
    without, gone = workflow.without_effects(2)
    assert places(gone) == [(2, "mail", 0, True), (2, "mail", 1, False)]
    assert places(without.all_effects()) == [(1, "mail", 0, False), (3, "mail", 1, False)]
    assert without.progress.line == workflow.progress.line + 1
    without, gone = workflow.without_effects(None)
    assert (len(gone), without.all_effects()) == (4, [])


def test_a_claimed_effect_is_under_way_only_in_the_try_that_claimed_it() -> None:
    workflow = ledger().open_step(0, "ann", 10)
    claimed = effect(0, claimed_at=11)
    assert workflow.is_under_way(claimed, 12)
    assert not workflow.is_under_way(effect(1, claimed_at=11), 12)
    failed = workflow.close_step(completed=False)
    assert not failed.is_under_way(claimed, 13)
    assert not failed.open_step(0, "ann", 20).is_under_way(claimed, 21)
    later = workflow.begin_attempt(State("wf"), "bob", 0, by_itself=False).open_step(0, "bob", 20)
    assert not later.is_under_way(claimed, 21)
    assert later.is_under_way(claimed.claimed_again(2, "bob"), 21)


def test_an_effect_is_not_under_way_when_its_process_has_lost_the_lease() -> None:
    workflow = ledger().with_lease(Lease(1, "claim", "ann", 10, 20)).open_step(0, "ann", 10)
    assert workflow.is_under_way(effect(0), 19)
    assert not workflow.is_under_way(effect(0), 20)


def test_there_is_one_key_for_each_store_workflow_line_step_and_name() -> None:
    one = ("store", "wf", 0, 1, "mail")
    others = [("other", "wf", 0, 1, "mail"), ("store", "w", 0, 1, "fmail"), ("store", "wf", 1, 1, "mail")]
    others += [("store", "wf", 0, 11, "mail"), ("store", "wf", 0, 1, "1mail"), ("store", "wf0", 0, 1, "mail")]
    keys = [idempotency_key(*each) for each in (one, *others)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)
    assert idempotency_key(*one) == keys[0]
