"""The memory budget: what is not in use is dropped, and comes back as it was."""

from operator import methodcaller
from pathlib import Path

import pytest
from tests.authority.at_work import LONG, Daemon, claim, running

from lastgood_daemon.authority.commands.checkpoints import MakeCheckpoint
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.memory import IDLE, LEAST, RECENT, Memory
from lastgood_daemon.authority.outcomes import Resumed, Written
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_proto.values import decode, encode

STATES = 40


def write(name: str, value: object) -> Write:
    return Write(StateRef(name), Author(), Precondition(), (("set", Set(("k",), encode(value))),), 1)


def states(daemon: Daemon) -> list[str]:
    return sorted(daemon.authority._world.states)  # noqa: SLF001 - what it holds is the point


async def filled(daemon: Daemon) -> None:
    for number in range(STATES):
        daemon.store.turned += RECENT
        assert isinstance(await daemon.do(write(f"s{number:02}", number)), Written)


async def test_states_not_in_use_are_dropped_and_come_back_on_demand(tmp_path: Path) -> None:
    async with running(tmp_path, budget=10 * 2 * LEAST) as daemon:
        await filled(daemon)
        kept = states(daemon)
        assert 5 <= len(kept) < 20
        assert kept[-1] == f"s{STATES - 1:02}", "those used last stay"
        for number in range(STATES):
            daemon.store.turned += RECENT
            state = await daemon.authority.ask(methodcaller("state", f"s{number:02}"))
            assert decode(state.tree.root.encoded()) == {"k": number}
            assert len(states(daemon)) < 20
        for number in range(STATES):
            daemon.store.turned += RECENT
            outcome = await daemon.do(write(f"s{number:02}", -number))
            assert isinstance(outcome, Written)
            assert outcome.point.revision == 2, "the versions of its records came back, too"
    async with running(tmp_path) as daemon:
        for number in range(STATES):
            state = await daemon.authority.ask(methodcaller("state", f"s{number:02}"))
            assert decode(state.tree.root.encoded()) == {"k": -number}


async def test_without_a_need_nothing_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await filled(daemon)
        assert len(states(daemon)) == STATES


async def test_a_budget_smaller_than_what_one_command_needs_does_not_stop_it(tmp_path: Path) -> None:
    async with running(tmp_path, budget=0) as daemon:
        for number in range(5):
            daemon.store.turned += RECENT
            outcome = await daemon.do(write("s", number))
            assert isinstance(outcome, Written)
            assert outcome.point.revision == number + 1


async def test_a_workflow_of_many_checkpoints_weighs_more_than_its_state(tmp_path: Path) -> None:
    checkpoints = 10 * STATES
    async with running(tmp_path, budget=512 * checkpoints) as daemon:
        await daemon.do(write("wf", 1))
        for step in range(checkpoints):
            await daemon.do(MakeCheckpoint("wf", step, Author(), 3, StateRef("wf"), None, None, f"copy {step}", 1))
        assert states(daemon) == ["wf"]
        daemon.store.turned += 2 * RECENT
        await daemon.do(write("other", 1))
        assert states(daemon) == ["other"]


@pytest.mark.parametrize("loaded", [False, True])
async def test_what_is_kept_beside_a_state_is_weighed(tmp_path: Path, loaded: bool) -> None:
    """Metadata of snapshots and checkpoints; as it is written, and as it is read again."""
    metadata = encode({"k": "x" * 100_000})
    async with running(tmp_path) as daemon:
        for number in range(10):
            await daemon.do(TakeSnapshot(StateRef("s"), Author(), f"{number}", None, metadata, 1))
            await daemon.do(MakeCheckpoint("wf", number, Author(), 3, StateRef("s"), None, metadata, "copy", 1))
        world = daemon.authority._world  # noqa: SLF001 - what it holds is the point
        if loaded:
            for name in ("s", "wf"):
                world.drop(name)
                await daemon.authority.ask(methodcaller("state", name))
                await daemon.authority.ask(methodcaller("workflow", name))
        assert 2_000_000 <= world.memory.weight < 2_100_000


async def test_a_workflow_that_somebody_holds_stays(tmp_path: Path) -> None:
    """Or the daemon would take itself for idle."""
    async with running(tmp_path, budget=2 * LEAST) as daemon:
        outcome = await daemon.do(claim("a", lease=1000 * LONG))
        assert isinstance(outcome, Resumed)
        await filled(daemon)
        assert daemon.authority.holds
        assert "s00" not in states(daemon)


async def test_a_state_of_which_much_is_opened_is_dropped_when_it_is_not_used_for_a_while(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        many = {f"k{number}": number for number in range(30_000)}
        await daemon.do(write("large", many))
        await daemon.do(write("small", 1))
        opening = Write(StateRef("large"), Author(), Precondition(), (("set", Set(("k", "k7"), encode(-7))),), 1)
        assert isinstance(await daemon.do(opening), Written)
        assert not daemon.authority.drop_idle()
        daemon.store.turned += IDLE
        assert daemon.authority.drop_idle()
        assert states(daemon) == ["small"]
        state = await daemon.authority.ask(methodcaller("state", "large"))
        assert decode(state.tree.root.encoded()) == {"k": many | {"k7": -7}}
        assert isinstance(await daemon.do(opening), Written)


def test_the_least_used_goes_first() -> None:
    memory = Memory(budget=30)
    for name in "abc":
        memory.weigh(name, 10)
    memory.use("a")
    assert list(memory.surplus(RECENT, lambda _: False)) == []
    memory.weigh("d", 10)
    gone = []
    for name in memory.surplus(2 * RECENT, lambda name: name == "b"):
        gone.append(name)
        memory.forget(name)
    assert gone == ["c"]
    assert memory.weight == 30


def test_what_was_just_used_stays() -> None:
    memory = Memory(budget=0)
    list(memory.surplus(5 * RECENT, lambda _: False))
    memory.weigh("a", 10)
    assert list(memory.surplus(6 * RECENT - 1, lambda _: False)) == []
    assert next(memory.surplus(6 * RECENT, lambda _: False)) == "a"


@pytest.mark.parametrize("weights", [[10, 4], [4, 10]])
def test_a_weight_replaces_the_one_before(weights: list[int]) -> None:
    memory = Memory(budget=0)
    for weight in weights:
        memory.weigh("a", weight)
    assert memory.weight == weights[-1]
    memory.forget("a")
    assert memory.weight == 0
