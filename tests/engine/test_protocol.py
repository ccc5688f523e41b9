"""The protocol of workflows against the plain model of ``protocol.py``, with crashes and clock steps at any point.

Three agents work at a workflow; each knows only what it was told: its fence, its claim, the step that it has open. What they
do is evaluated in batches, and an answer reaches an agent when its batch is durable. At any point

* an agent **dies**: it forgets everything, and never writes again;
* an agent **hangs**: another one takes its place, and some time later it goes on as if nothing had happened;
* the daemon **dies**, or its store has no room, and the batch under way is lost: nobody hears an answer, and whoever asked
  may ask again;
* the clock **jumps**, past any lease.

Outsiders without a fence write there, too, as far as they may.

After every command, what it came to (or the kind of its refusal) is what the model says, and so is everything that there is
to know of the workflow. Besides, and without the model's help:

* **never two holders**: of all that were told that they hold the workflow, until a time that has not come, there is one at
  most, and the present attempt is its own;
* **never a stale write**: nothing is written by an attempt after a later one has begun; and while an agent may believe that
  it holds the workflow, nothing is written there but by its attempt;
* **never a resume into superseded work**: the content is then that of a checkpoint that counts, or where it all began;
* **never a key twice**: a new effect never gets an idempotency key that was given before.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from tests.engine.agents import Agent, AgentsMachine
from tests.engine.notes import (
    CLAIMED,
    COMPLETED,
    DONE,
    FAILED,
    RECORDED,
    SETTLED_AS_FAILED,
    Content,
    Writer,
    listed,
)
from tests.engine.plain import bare, plain
from tests.engine.protocol import Book

from lastgood_daemon.authority import targets
from lastgood_daemon.authority.commands.attempts import Claim, Resume
from lastgood_daemon.authority.commands.checkpoints import DeleteCheckpoints, MakeCheckpoint
from lastgood_daemon.authority.commands.effects import ClaimEffect, RecordEffect
from lastgood_daemon.authority.commands.leases import GiveUp, Release, Renew
from lastgood_daemon.authority.commands.restore import Restore
from lastgood_daemon.authority.commands.states import Fork
from lastgood_daemon.authority.commands.steps import BeginStep, CompleteStep, FailStep
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.outcomes import Done, EffectClaimed, EffectKnown, Resumed, StepBegun, StepEnded
from lastgood_daemon.authority.targets import CheckpointRef, StateRef
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.effect import Failure
from lastgood_daemon.engine.errors import FencedError, LeaseLostError, RefusedError
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_proto import values

STEPS = (
    *("work",) * 10,
    *(
        "write",
        "meddle",
        "meddle",
        "make_checkpoint",
        "make_checkpoint",
        "end_step",
        "begin_step",
        "claim_effect",
        "record_effect",
    ),
    *("claim", "claim", "renew", "give_up", "resume", "resume", "resume", "release"),
    *("restore", "restore", "delete_checkpoints", "delete_checkpoints", "fork", "fork"),
    *("die", "die", "hang", "hang", "time_passes", "time_passes"),
    *("batch_ends", "batch_ends", "batch_ends", "daemon_dies"),
)
"""What a step may be, as often as it is to be done."""
Refusal = type[RefusedError] | None


class ProtocolMachine(AgentsMachine):
    """See the module."""

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Do something; one rule, so that hypothesis does not leave whole kinds of commands out of a run."""
        alive = any(each.fence == self.book.attempt for each in [*self.agents, *self.hanging])
        if self.book.held(self.now) and not alive and data.draw(st.booleans()):
            self.time_passes(data)  # until then hardly anything is possible
        if data.draw(st.booleans()):
            self.work(data)
        getattr(self, data.draw(st.sampled_from(STEPS)))(data)

    # What an agent does.

    def work(self, data: st.DataObject) -> None:
        """Do what comes next, as far as an agent knows, and perhaps what comes after that."""
        agent = self.draw_agent(data)
        for _ in range(data.draw(st.sampled_from([4, 1, 2, 8]))):
            refusal = self.go_on(data, agent)
            if refusal in {FencedError, LeaseLostError} and data.draw(st.booleans()):
                self.answers.append(agent.begin_anew)
            if self.daemon.batch is not None:
                break  # it has to wait for its answer
            self.hear()

    def go_on(self, data: st.DataObject, agent: Agent) -> Refusal:
        if agent.fence is None and self.book.held(self.now) and data.draw(st.booleans()):
            self.time_passes(data)
            return None
        if agent.fence is None:
            return data.draw(st.sampled_from([self.claim, self.claim, self.resume]))(data, agent)
        if agent.open is None:
            return data.draw(st.sampled_from([self.begin_step, self.begin_step, self.begin_step, self.write]))(data, agent)
        if agent.holds_until and data.draw(st.integers(0, 5)) == 5:
            self.time_passes(data)
            return self.renew(data, agent)
        effect = self.record_effect if agent.running else self.claim_effect
        doing = [self.write, effect, self.end_step, effect, self.claim_effect, self.record_effect]
        return data.draw(st.sampled_from(doing))(data, agent)

    def claim(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        agent = agent or self.draw_agent(data)
        if not agent.claim_id or data.draw(st.booleans()):
            self.fresh += 1
            agent.claim_id = f"claim {self.fresh}"
        claim_id, length = agent.claim_id, data.draw(st.sampled_from([10, 50, 50, 2_000]))
        initial, poison_after = self.draw_initial(data), data.draw(st.sampled_from([0, 0, 1, 2]))
        asked = self.now

        def expected(_: object) -> tuple[Book, object]:
            page, undone = self.book.claimed(writer, initial, claim_id, length, poison_after, asked)
            return page, (page.attempt, page.revision, bare(page.last_good()), undone)

        def hear(resumed: Resumed) -> None:
            agent.fence, agent.open = resumed.attempt, None
            agent.next_step = 0 if resumed.checkpoint is None else resumed.checkpoint.step + 1
            wanted = agent.claim_id == claim_id and resumed.attempt not in self.overruled
            agent.holds_until = asked + length if wanted else 0

        writer = Writer(agent.name)
        encoded = None if initial is None else values.encode(initial)
        holder = f"{agent.name} here"
        return self.run(
            Claim("wf", Author(agent.name), encoded, poison_after, claim_id, holder, length, 0, 1), expected, hear
        )

    def renew(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        agent = agent or self.draw_agent(data)
        fence, asked = agent.fence, self.now
        if fence is None:
            return None

        def hear(_: Done) -> None:
            lease = self.book.lease
            if lease is not None and agent.fence == fence == lease.attempt:
                agent.holds_until = asked + lease.length

        return self.run(Renew("wf", _author(agent.writer)), lambda _: (self.book.renewed(fence, asked), True), hear)

    def give_up(self, data: st.DataObject) -> None:
        agent = self.draw_agent(data)
        claim_id, agent.claim_id, agent.holds_until = agent.claim_id, "", 0
        page = self.book.given_up(claim_id, self.now)
        self.run(GiveUp("wf", claim_id), lambda _: (page, page is not self.book))

    def resume(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        agent = agent or self.draw_agent(data)
        outside = data.draw(st.sampled_from([Writer(agent.name), Writer(agent.name, None, "elsewhere")]))
        writer = data.draw(st.sampled_from([agent.writer, agent.writer, outside]))
        made = [mark.step for mark in self.book.marks.values()]
        step = data.draw(st.sampled_from([None, None, None, *made, 1]))
        initial, poison_after = self.draw_initial(data), data.draw(st.sampled_from([0, 0, 1, 2]))
        force = data.draw(st.integers(0, 3)) == 3
        kept = self.book.held(self.now) and writer.fence is not None

        def expected(_: object) -> tuple[Book, object]:
            book = self.book
            page, undone = book.resumed(writer, step, initial, force=force, poison_after=poison_after, now=self.now)
            if not kept:
                self.overrule(by_force=force)
            mark = page.last_good() if step is None else page.of_step(step)
            return page, (page.attempt, page.revision, bare(mark), undone)

        def hear(resumed: Resumed) -> None:
            agent.fence, agent.open = resumed.attempt, None
            agent.next_step = 0 if resumed.checkpoint is None else resumed.checkpoint.step + 1
            if not kept:
                agent.holds_until = 0

        encoded = None if initial is None else values.encode(initial)
        command = Resume("wf", _author(writer), step, encoded, force=force, poison_after=poison_after, size=1)
        return self.run(command, expected, hear)

    def release(self, data: st.DataObject) -> None:
        writer = self.draw_writer(data, None)

        def expected(_: object) -> tuple[Book, object]:
            page = self.book.released(self.now)
            return page, page is not self.book

        self.run(Release("wf", _author(writer)), expected)

    def begin_step(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        writer, step = self.draw_writer(data, agent), self.draw_step(data)
        if agent is not None and data.draw(st.integers(0, 3)) < 3:
            step = agent.next_step
        if writer.fence is None:
            return None  # the edge does not let that through

        def expected(_: object) -> tuple[Book, object]:
            page = self.book.step_begun(writer, step, self.now)
            return page, (page.revision, page.line, [listed(deed) for deed in page.deeds_from(step) if deed.step == step])

        def hear(_: StepBegun) -> None:
            if agent is not None and agent.fence == writer.fence:
                agent.open, agent.running = step, ""

        return self.run(BeginStep("wf", step, _author(writer)), expected, hear)

    def end_step(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        writer, step = self.draw_writer(data, agent), self.draw_open(data, agent)
        if writer.fence is None:
            return None

        def completed(_: object) -> tuple[Book, object]:
            page, mark = self.book.step_completed(writer, step, self.now)
            return page, (page.revision, bare(mark), None)

        def failed(_: object) -> tuple[Book, object]:
            page, mark, undone = self.book.step_failed(writer, step, self.now)
            return page, (page.revision, bare(mark), undone)

        def hear(ended: StepEnded) -> None:
            if agent is not None and agent.fence == writer.fence:
                agent.open, agent.next_step = None, step + (ended.checkpoint.status == COMPLETED)

        if data.draw(st.integers(0, 3)) < 3:
            return self.run(CompleteStep("wf", step, _author(writer), None, None, 1), completed, hear)
        return self.run(FailStep("wf", step, _author(writer), None, None, 1), failed, hear)

    def draw_open(self, data: st.DataObject, agent: Agent | None) -> int:
        """Draw a step that may be open."""
        if agent is not None and agent.open is not None and data.draw(st.integers(0, 5)) < 5:
            return agent.open
        at_work = 0 if self.book.work is None else self.book.work.step  # also one that is closed
        return data.draw(st.sampled_from([at_work, at_work, 0, 1, 2]))

    def claim_effect(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        writer, step = self.draw_writer(data, agent), self.draw_open(data, agent)
        key, refuse = data.draw(st.sampled_from(["a", "a", "b"])), data.draw(st.booleans())
        if writer.fence is None:
            return None

        def expected(outcome: EffectClaimed | EffectKnown | None) -> tuple[Book, object]:
            given = "" if outcome is None else outcome.effect.idempotency_key
            page, deed = self.book.effect_claimed(writer, step, key, given, self.now, refuse=refuse)
            return page, (deed.status == CLAIMED, deed)

        def hear(outcome: EffectClaimed | EffectKnown) -> None:
            if agent is not None and isinstance(outcome, EffectClaimed):
                agent.running = key

        return self.run(ClaimEffect("wf", step, key, _author(writer), "store", refuse_doubt=refuse), expected, hear)

    def record_effect(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        writer, step = self.draw_writer(data, agent), self.draw_open(data, agent)
        key = agent.running if agent is not None and agent.running else data.draw(st.sampled_from(["a", "a", "b"]))
        self.fresh += 1
        text, status = f"result {self.fresh}", data.draw(st.sampled_from([RECORDED, SETTLED_AS_FAILED, DONE]))
        result = text.encode() if status == RECORDED else None
        failure = Failure("ValueError", text) if status == SETTLED_AS_FAILED else None
        told = None if status == DONE else text.encode()
        if writer.fence is None:
            return None

        def expected(_: object) -> tuple[Book, object]:
            return self.book.effect_recorded(writer, step, key, status, told, self.now), True

        def hear(_: Done) -> None:
            if agent is not None:
                agent.running = ""

        return self.run(RecordEffect("wf", step, key, _author(writer), result, failure, 1), expected, hear)

    def write(self, data: st.DataObject, agent: Agent | None = None) -> Refusal:
        writer = self.draw_writer(data, agent)
        state_id = data.draw(st.sampled_from(["wf", "wf", "wf", "other"]))
        name = data.draw(st.sampled_from(["x", "y"]))
        self.fresh += 1
        value = self.fresh

        def expected(_: object) -> tuple[Book, object]:
            book, here = self.book, state_id == "wf"
            label = book.admit(writer, self.now, here=here)
            if here:
                assert all(each.fence == writer.fence for each in self.holders())
                page = book.wrote({**book.content, name: value}, label, self.now)
                return page, (page.revision, True)
            page = book.wrote_elsewhere({**book.elsewhere[-1].content, name: value}, label, self.now)
            return page, (len(page.elsewhere) - 1, True)

        edit = Set((name,), values.encode(value))
        return self.run(Write(StateRef(state_id), _author(writer), Precondition(), (("set", edit),), 1), expected)

    def meddle(self, data: st.DataObject) -> None:
        """Write from outside, while agents work or between their attempts."""
        for _ in range(data.draw(st.sampled_from([2, 1, 3]))):
            self.write(data, Agent("guest"))

    def make_checkpoint(self, data: st.DataObject) -> None:
        writer, made = self.draw_writer(data, None), [mark.step for mark in self.book.marks.values()]
        again = bool(made) and data.draw(st.booleans())
        step = data.draw(st.sampled_from(made)) if again else self.draw_step(data)
        status = data.draw(st.sampled_from([COMPLETED, COMPLETED, FAILED]))
        book = self.book
        self.fresh += 1
        source: StateRef | Point | targets.Content
        made_of: tuple[Content, int | None]
        match data.draw(st.sampled_from(["state", "state", "state", "earlier", "other", "content"])):
            case "state":
                source, made_of = StateRef("wf"), (book.content, book.revision)
            case "earlier":
                revision = data.draw(st.integers(0, book.revision))
                source, made_of = Point("wf", 1, revision), (book.revisions[revision].content, revision)
            case "other":
                source, made_of = StateRef("other"), (book.elsewhere[-1].content, None)
            case _:
                content = {"brought along": self.fresh}
                source, made_of = targets.Content(values.encode(content)), (content, None)

        def expected(_: object) -> tuple[Book, object]:
            page = self.book.marked(writer, step, status, made_of, self.now)
            assert all(each.fence == writer.fence for each in self.holders())
            return page, bare(page.marks[step, writer.fence or 0])

        copy_id = f"copy {self.fresh}"
        self.run(MakeCheckpoint("wf", step, _author(writer), status, source, None, None, copy_id, 1), expected)

    def restore(self, data: st.DataObject) -> None:
        if not self.book.marks:
            self.work(data)
        writer, order = self.draw_writer(data, None), self.draw_order(data)

        def expected(_: object) -> tuple[Book, object]:
            page = self.book.restored(writer, order, self.now)
            assert all(each.fence == writer.fence for each in self.holders())
            return page, (page.revision, True)

        self.run(Restore(StateRef("wf"), _author(writer), Precondition(), CheckpointRef("wf", *order), (), 1), expected)

    def draw_order(self, data: st.DataObject) -> tuple[int, int]:
        """Draw a checkpoint, rather one that is superseded, or that a later attempt has made anew."""
        marks = sorted(self.book.marks)
        odd = [order for order in marks if self.book.marks[order].superseded or (order[0], order[1] + 1) in marks]
        return data.draw(st.sampled_from([*odd * 2, *marks, (9, 9)]))

    def delete_checkpoints(self, data: st.DataObject) -> None:
        writer, effects = self.draw_writer(data, None), data.draw(st.booleans())
        step = data.draw(st.sampled_from([None, 0, 1, self.book.open]))

        def expected(_: object) -> tuple[Book, object]:
            page, existed = self.book.without(writer, step, self.now, effects=effects)
            assert all(each.fence == writer.fence for each in self.holders())
            return page, existed

        self.run(DeleteCheckpoints("wf", step, _author(writer), effects=effects), expected)

    def fork(self, data: st.DataObject) -> None:
        """Fork from a checkpoint; and see that the new workflow goes on there."""
        if not self.book.marks:
            self.work(data)
        writer, order = self.draw_writer(data, None), self.draw_order(data)
        self.fresh += 1
        new_id = f"fork {self.fresh}"
        new = self.book.forked(order, self.now) if order in self.book.marks else None

        def expected(_: object) -> tuple[Book, object]:
            self.book.admit(writer, self.now, here=False)
            self.book.forked(order, self.now)
            return self.book, (1, True)

        command = Fork(StateRef("wf"), _author(writer), CheckpointRef("wf", *order), new_id)
        if self.run(command, expected) is None and new is not None:
            self.check_the_workflow(new_id, new)
            with self.tried():
                resume = Resume(new_id, Author(), None, None, force=False, poison_after=0, size=1)
                _, outcome = self.daemon.evaluate(resume, self.now)
                page, undone = new.resumed(Writer(""), None, None, force=False, poison_after=0, now=self.now)
                assert plain(outcome) == (1, 1, bare(new.last_good()), undone)
                assert page.content == new.content


def _author(writer: Writer) -> Author:
    return Author(writer.agent, writer.elsewhere) if writer.fence is None else Author(writer.agent, "wf", writer.fence)


TestProtocol = ProtocolMachine.TestCase
TestProtocol.settings = settings(max_examples=8)


@pytest.mark.slow
def test_at_length() -> None:
    run_state_machine_as_test(ProtocolMachine, settings=settings(max_examples=100))
