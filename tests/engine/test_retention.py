"""What a policy lets go of."""

from itertools import accumulate, pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.test_effects import effect
from tests.engine.test_workflow import mark, marks, workflow_of

from lastgood_daemon.engine.checkpoint import FAILED, Checkpoint
from lastgood_daemon.engine.log import Author, LoggedEdit
from lastgood_daemon.engine.retention import (
    Age,
    Logged,
    Retention,
    floor,
    is_dead,
    is_expired,
    last_written,
    lowest,
    pruned,
    surplus,
)
from lastgood_daemon.engine.state import Snapshot, State
from lastgood_daemon.engine.workflow import Progress, Workflow


def at(now: int) -> Age:
    """Say how old things are at a moment, on a machine whose clocks are right."""
    return lambda moment: now - moment


def steps(checkpoints: list[Checkpoint]) -> list[int]:
    return [checkpoint.step for checkpoint in checkpoints]


# Checkpoints.


def test_the_last_ones_stay() -> None:
    made = [mark(step) for step in range(6)]
    assert steps(surplus(made, Retention(checkpoints=2))) == [0, 1, 2, 3]
    assert steps(surplus(reversed(made), Retention(checkpoints=2))) == [0, 1, 2, 3]
    assert surplus(made, Retention(checkpoints=6)) == []
    assert surplus(made, Retention()) == []


def test_the_last_good_one_stays_when_later_ones_fill_the_count() -> None:
    made = [mark(0), mark(1), *(mark(2, attempt, FAILED) for attempt in range(1, 6))]
    gone = surplus(made, Retention(checkpoints=3))
    assert [checkpoint.order for checkpoint in gone] == [(0, 1), (2, 1), (2, 2)]


@given(st.lists(marks, max_size=12), st.integers(1, 8), st.integers(-1, 12), st.integers(1, 5))
def test_what_a_resume_goes_back_to_is_the_same_after_pruning(
    made: list[Checkpoint], keep: int, back: int, since: int
) -> None:
    workflow = workflow_of(*made)
    if back >= 0:
        workflow, _ = workflow.back_to(mark(back, 6), 3)
    policy = Retention(checkpoints=keep, superseded=since)
    checkpoints, effects = pruned(workflow, policy, at(5))
    after = workflow.without_parts(checkpoints, effects)
    assert after.last_good() == workflow.last_good()
    assert after.latest() == workflow.latest()
    assert after.progress.next_step == workflow.progress.next_step
    live = [each for each in after.in_order() if not each.superseded]
    before = [each for each in workflow.in_order() if not each.superseded]
    good = workflow.last_good()
    assert len(live) <= keep + 1
    assert live[-keep:] == before[-keep:]
    assert {each.order for each in live[:-keep]} <= ({good.order} if good else set())
    assert len({each.order for each in checkpoints}) == len(checkpoints)
    assert pruned(after, policy, at(5)) == ([], [])
    assert all(5 - each.superseded_at < since for each in after.in_order() if each.superseded)


# What is superseded.


def test_what_is_superseded_goes_by_when_that_was() -> None:
    workflow = Workflow("wf")
    for made in (mark(1), mark(2)):
        workflow = workflow.record(made)
    for each in (effect(1), effect(2)):
        workflow = workflow.enter(each)
    workflow, _ = workflow.back_to(mark(1, 1), 100)
    policy = Retention(superseded=10)
    assert pruned(workflow, policy, at(109)) == ([], [])
    checkpoints, effects = pruned(workflow, policy, at(110))
    assert [steps(checkpoints), [each.step for each in effects]] == [[2], [2]]
    after = workflow.without_parts(checkpoints, effects)
    assert (steps(after.in_order()), [each.step for each in after.all_effects()]) == ([1], [1])
    assert pruned(workflow, Retention(superseded=0), at(100))[0] == checkpoints
    assert pruned(workflow, Retention(checkpoints=1), at(10**9)) == ([], []), "they are not counted"


def test_what_was_superseded_before_that_was_noted_goes_by_when_it_was_made() -> None:
    old = msgspec.structs.replace(mark(1, created_at=100), superseded=True)
    assert not is_dead(old, Retention(superseded=10), at(109))
    assert is_dead(old, Retention(superseded=10), at(110))


# Whole states.


def test_when_something_was_last_written() -> None:
    state = State("s")
    assert last_written(state, Progress()) == 0
    state, _ = state.advance([LoggedEdit("set", (), ())], Author(), 10)
    assert last_written(state, Progress()) == 10
    assert last_written(state, Progress(updated_at=11)) == 11
    taken = Snapshot("x", 1, 1, 12, None, None)
    state = State("s", state.about, state.tree, snapshots=state.snapshots.set("x", taken))
    assert last_written(state, Progress(updated_at=11)) == 12


def test_when_it_expires() -> None:
    assert not is_expired(10, Retention(ttl=5), at(14))
    assert is_expired(10, Retention(ttl=5), at(15))
    assert not is_expired(0, Retention(), at(10**9))


# Logs.

sizes = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1, max_size=30)
policies = st.builds(
    Retention,
    revisions=st.none() | st.integers(1, 40),
    age=st.none() | st.integers(1, 60),
    bytes=st.none() | st.integers(1, 900),
)


def rows_of(made: list[tuple[int, int]]) -> list[Logged]:
    times = accumulate(pause for pause, _ in made)
    return [Logged(n, time, size) for n, (time, (_, size)) in enumerate(zip(times, made, strict=True), 1)]


@given(sizes, policies, st.integers(0, 20), st.integers(1, 7))
def test_all_above_the_floor_keeps_within_the_bounds_and_nothing_more_goes(
    made: list[tuple[int, int]], policy: Retention, later: int, page: int
) -> None:
    rows = rows_of(made)
    newest, now = rows[-1].revision, rows[-1].timestamp + later

    def fits(least: int) -> bool:
        kept = rows[least - 1 :]
        return (
            (policy.revisions is None or len(kept) <= policy.revisions)
            and (policy.age is None or all(now - row.timestamp < policy.age for row in kept))
            and (policy.bytes is None or sum(row.size for row in kept) <= policy.bytes)
        )

    expected = next((row.revision for row in rows if fits(row.revision)), newest)
    size = sum(row.size for row in rows)
    assert floor(policy, at(now), newest, size, rows) == expected

    start = lowest(policy, newest)  # as housekeeping does: from there on, and page by page
    rows = rows[start - 1 :]
    size = sum(row.size for row in rows)
    for index in range(0, len(rows), page):
        some = rows[index : index + page]
        found = floor(policy, at(now), newest, size, some)
        if found is not None:
            break
        size -= sum(row.size for row in some)
    assert found == expected


@given(sizes, st.integers(1, 900), st.integers(1, 900))
def test_a_tighter_bound_never_keeps_more(made: list[tuple[int, int]], one: int, other: int) -> None:
    rows = rows_of(made)
    total = sum(row.size for row in rows)
    found = [floor(Retention(bytes=bound), at(0), len(rows), total, rows) or 0 for bound in sorted((one, other))]
    assert all(loose <= tight for tight, loose in pairwise(found))
