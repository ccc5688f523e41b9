"""Agents that die and hang, a daemon that dies, and a clock that jumps: what ``test_protocol`` puts the protocol through."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize
from tests.engine.disk import Daemon
from tests.engine.model import RefusalError
from tests.engine.notes import Content, Writer, same
from tests.engine.plain import bare, plain
from tests.engine.protocol import Book
from tests.support.rows import entry_of

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Outcome
from lastgood_daemon.engine import trail
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import LogId

AGENTS = ("ann", "bob", "cid")


@dataclass(eq=False)
class Agent:
    """A process, and what it knows."""

    name: str
    fence: int | None = None
    claim_id: str = ""
    holds_until: int = 0
    """Until when it may believe that it holds the workflow."""
    next_step: int = 0
    open: int | None = None
    running: str = ""
    """The effect that it has claimed."""

    @property
    def writer(self) -> Writer:
        return Writer(self.name, self.fence)

    def begin_anew(self) -> None:
        """Understand that the attempt is over."""
        self.fence = self.open = None
        self.holds_until = 0


class AgentsMachine(RuleBasedStateMachine):
    """Agents and a daemon, what befalls them, and what they may rely on; see ``test_protocol``."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.daemon = Daemon(self.committed)
        self.book = self.durable = Book()
        self.agents = [Agent(name) for name in AGENTS]
        self.hanging: list[Agent] = []
        self.answers: list[Callable[[], None]] = []
        """What the agents will have heard when the batch is durable."""
        self.overruled: set[int] = set()
        """Attempts that have lost the workflow in the batch before they have heard that they hold it."""
        self.now = 1_000
        self.fresh = 0

    @initialize(trail_length=st.sampled_from([1, 2, 256]))
    def configure(self, trail_length: int) -> None:
        self.cleanup.enter_context(mock.patch.object(trail, "MAX_REVISIONS", trail_length))

    def teardown(self) -> None:
        try:
            if self.daemon.batch is not None:
                self.daemon.commit()
            self.daemon.restart()
            self.check_the_workflow()
        finally:
            self.cleanup.close()

    # What befalls the daemon and the agents.

    def batch_ends(self, data: st.DataObject) -> None:
        if self.daemon.batch is None:
            self.daemon.begin()
        elif data.draw(st.integers(0, 2)) < 2:
            self.daemon.commit()
        else:
            self.lose()

    def committed(self) -> None:
        self.durable = self.book
        self.hear()
        self.overruled.clear()
        assert len(self.holders()) < 2
        assert all(each.fence == self.book.attempt for each in self.holders())

    def hear(self) -> None:
        answers, self.answers = self.answers, []
        for answer in answers:
            answer()

    def lose(self) -> None:
        self.daemon.batch = None
        self.book = self.durable
        self.answers = []
        self.overruled.clear()

    def daemon_dies(self, data: st.DataObject) -> None:
        self.lose()
        self.now += data.draw(st.sampled_from([0, 1, 30, 3_000]))
        self.daemon.restart()
        self.durable = self.book
        self.check_the_workflow()

    def time_passes(self, data: st.DataObject) -> None:
        if self.daemon.batch is not None:
            return
        moments = [self.now + each for each in (1, 5, 40, 3_000)]
        lease = self.book.lease
        if lease is not None:
            moments += [moment for moment in (lease.until - 1, lease.until, lease.until + 1) if moment >= self.now] * 2
        self.now = data.draw(st.sampled_from(moments))

    def die(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(AGENTS) - 1))
        self.agents[place] = Agent(AGENTS[place])

    def hang(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(AGENTS) - 1))
        if self.agents[place].fence is not None:
            self.hanging.append(self.agents[place])
            self.agents[place] = Agent(AGENTS[place])

    # Evaluating.

    def run(
        self,
        command: Command,
        expected: Callable[[Any], tuple[Book, object]],
        hear: Callable[[Any], None] = lambda _: None,
    ) -> type[RefusedError] | None:
        """Evaluate a command, and give the kind of its refusal.

        Args:
            command: it.
            expected: gives the next page of the model and what is told, in plain words, or refuses. It gets the outcome
                only to take from it what it cannot know.
            hear: what the agent makes of the outcome.
        """
        note(f"{self.now}: {command}")
        alone = self.daemon.batch is None
        if alone:
            self.daemon.begin()
        outcome: Outcome | None = None
        refused: RefusedError | None = None
        try:
            layer, outcome = self.daemon.evaluate(command, self.now)
        except RefusedError as error:
            note(f"  refused: {error}")
            refused = error
        page, told, refusal = self.book, None, None
        try:
            page, told = expected(outcome)
        except RefusalError as error:
            refusal = error.kind
        event(f"{type(command).__name__} {'done' if refusal is None else refusal.__name__}")
        if refused is not None and type(refused) is not refusal:
            raise refused
        if refused is None:
            assert refusal is None, f"{outcome!r}, expected {refusal}"
            assert plain(outcome) == told, f"{plain(outcome)!r}, expected {told!r}"
            self.check_what_was_written(layer, page)
            layer.merge_down()
            self.book = page
            self.answers.append(lambda: hear(outcome))
        self.check_the_workflow()
        if alone:
            self.daemon.commit()
        return refusal

    @contextlib.contextmanager
    def tried(self) -> Iterator[None]:
        """Have a batch in which something is evaluated that does not happen."""
        alone = self.daemon.batch is None
        if alone:
            self.daemon.begin()
        yield
        if alone:
            self.daemon.batch = None

    # What is promised.

    def holders(self) -> list[Agent]:
        """Give those who may believe that they hold the workflow."""
        return [each for each in [*self.agents, *self.hanging] if each.holds_until > self.now]

    def overrule(self, *, by_force: bool) -> None:
        """Nobody holds it any more, whoever was told so; which takes force, if there is anybody."""
        assert by_force or not self.holders()
        for each in self.holders():
            each.holds_until = 0
        self.overruled.add(self.book.attempt)

    def check_what_was_written(self, layer: Layer, page: Book) -> None:
        """Check the entries of the log against the next page, and that no attempt writes after a later one has begun."""
        book = self.book
        latest = max(revision.label.attempt for revision in (*book.revisions, *book.elsewhere))
        for state_id, before, after in [("wf", book.revisions, page.revisions), ("other", book.elsewhere, page.elsewhere)]:
            expected = [revision._replace(content={}) for revision in after[len(before) :]]
            assert [plain(entry_of(row.entry)) for row in layer.staged.rows.get(LogId(state_id, 1), [])] == expected
            assert all(not revision.label.attempt or revision.label.attempt >= latest for revision in expected)
            assert state_id not in layer.staged.states or same(_content(layer.state(state_id)), after[-1].content)

    def check_the_workflow(self, workflow_id: str = "wf", book: Book | None = None) -> None:
        """Check all that there is to know of a workflow."""
        book = book or self.book
        workflow, state = self.daemon.workflow(workflow_id), self.daemon.state(workflow_id)
        progress = workflow.progress
        assert state.revision == book.revision
        assert same(_content(state), book.content)
        assert (progress.attempt, progress.line, progress.next_step) == (book.attempt, book.line, book.next_step)
        assert (progress.agent_id, progress.poison_after) == (book.agent, book.poison_after)
        assert progress.began == (None if book.began is None else Point(workflow_id, 1, book.began))
        assert progress.holds(self.now) == book.held(self.now)
        lease, work = progress.lease, progress.step
        assert book.lease == (lease and (lease.attempt, lease.claim_id, lease.holder, lease.length, lease.expires_at))
        assert book.work == (work and (work.step, work.agent_id, work.attempt, work.is_open, work.deaths))
        assert progress.deaths(self.now) == book.deaths(self.now)
        assert progress.is_poisoned(self.now) == (0 < book.poison_after <= book.deaths(self.now))
        assert [plain(mark) for mark in workflow.in_order()] == [bare(book.marks[order]) for order in sorted(book.marks)]
        assert plain(workflow.last_good()) == bare(book.last_good())
        assert plain(workflow.latest()) == bare(book.live()[-1] if book.live() else None)
        deeds = sorted([*book.deeds.values(), *book.aside.values()], key=lambda deed: deed.order)
        assert [plain(effect) for effect in workflow.all_effects()] == deeds
        assert {number: plain(attempt) for number, attempt in workflow.attempts.items()} == book.runs

    # Drawing.

    def draw_agent(self, data: st.DataObject) -> Agent:
        """Draw an agent, rather one of the present attempt."""
        present = [each for each in self.agents if each.fence == self.book.attempt]
        return data.draw(st.sampled_from([*self.agents, *self.hanging, *present * 4]))

    def draw_writer(self, data: st.DataObject, agent: Agent | None) -> Writer:
        """Draw who writes: an agent, or if none is given also a helper of one, or an outsider."""
        if agent is not None:
            return agent.writer
        one = self.draw_agent(data).writer
        helpers = [Writer("", one.fence), Writer("helper", one.fence)]
        return data.draw(st.sampled_from([one, one, *helpers, Writer("guest"), Writer("guest", None, "elsewhere")]))

    def draw_step(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from([self.book.next_step, self.book.next_step, self.book.open or 0, 0, 1, 2]))

    def draw_initial(self, data: st.DataObject) -> Content | None:
        self.fresh += 1
        return data.draw(st.sampled_from([None, {"begun": self.fresh}]))


def _content(state: State) -> Content:
    content: Any = state.tree.root.value()
    return dict(content)
