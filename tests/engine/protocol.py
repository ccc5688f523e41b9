"""What the protocol of workflows must amount to, as somebody would keep it who sits beside it with a notebook.

Who holds the workflow and until when; which attempt and which line it is at; what each checkpoint was made of; which effects
are known. A page is written anew where something changes, so that it can be kept.
"""

from dataclasses import dataclass, field, replace

from tests.engine.model import RefusalError
from tests.engine.notes import (
    CLAIMED,
    COMPLETED,
    FAILED,
    Content,
    Deed,
    Label,
    Lease,
    Mark,
    Revision,
    Run,
    Undone,
    Work,
    Writer,
    listed,
    same,
)

from lastgood_daemon.engine.errors import (
    CheckpointNotFoundError,
    FencedError,
    InDoubtError,
    InvalidArgumentError,
    LeaseLostError,
    PoisonedStepError,
    StepOrderError,
    WorkflowBusyError,
)

NOWHERE = Revision({}, Label(""), 0)


@dataclass(frozen=True)
class Book:
    """One page of the notebook: a workflow, its state, and another state that agents write into."""

    revisions: tuple[Revision, ...] = (NOWHERE,)
    elsewhere: tuple[Revision, ...] = (NOWHERE,)
    attempt: int = 0
    agent: str = ""
    line: int = 0
    began: int | None = None
    lease: Lease | None = None
    work: Work | None = None
    poison_after: int = 0
    marks: dict[tuple[int, int], Mark] = field(default_factory=dict)
    deeds: dict[tuple[int, str], Deed] = field(default_factory=dict)
    aside: dict[tuple[int, str, int], Deed] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    rolled: tuple[int, int] | None = None
    """Of the last rollback: the revision gone back to, and the one after it."""
    keys: frozenset[str] = frozenset()
    """Every idempotency key that anybody was ever given."""

    # Looking.

    @property
    def content(self) -> Content:
        return self.revisions[-1].content

    @property
    def revision(self) -> int:
        return len(self.revisions) - 1

    def held(self, now: int) -> bool:
        return self.lease is not None and now < self.lease.until

    def live(self) -> list[Mark]:
        return [mark for _, mark in sorted(self.marks.items()) if not mark.superseded]

    def last_good(self) -> Mark | None:
        return next((mark for mark in reversed(self.live()) if mark.status == COMPLETED), None)

    def of_step(self, step: int) -> Mark | None:
        return next((mark for mark in reversed(self.live()) if mark.step == step), None)

    @property
    def next_step(self) -> int:
        good = self.last_good()
        return 0 if good is None else good.step + 1

    @property
    def open(self) -> int | None:
        """The step that the present attempt has open."""
        return self.work.step if self.work is not None and self.work.open else None

    def deaths(self, now: int) -> int:
        if self.work is None:
            return 0
        return self.work.deaths + (self.work.open and not self.held(now))

    def deeds_from(self, step: int) -> list[Deed]:
        return [deed for (of, _), deed in sorted(self.deeds.items()) if of >= step]

    # Who may.

    def admit(self, writer: Writer, now: int, *, here: bool = True) -> Label:
        """Give the name under which somebody writes (``here``: into what is the workflow's), or refuse."""
        if writer.fence is None:
            if here and self.held(now):
                raise RefusalError(WorkflowBusyError)
            return Label(writer.agent, writer.elsewhere)
        if writer.fence != self.attempt:
            raise RefusalError(FencedError)
        if self.lease is not None and not self.held(now):
            raise RefusalError(LeaseLostError)
        if self.work is None or not self.work.open:
            return Label(writer.agent, "wf", writer.fence)
        return Label(writer.agent or self.work.agent, "wf", writer.fence, self.work.step)

    def require_open(self, step: int) -> None:
        if self.open != step:
            raise RefusalError(StepOrderError)

    # Writing.

    def wrote(self, content: Content, label: Label, now: int) -> "Book":
        return replace(self, revisions=(*self.revisions, Revision(content, label, now)))

    def wrote_elsewhere(self, content: Content, label: Label, now: int) -> "Book":
        return replace(self, elsewhere=(*self.elsewhere, Revision(content, label, now)))

    def rolled_back(self, mark: Mark | None, effects: list[Deed], label: Label, now: int) -> tuple["Book", Undone]:
        """Bring back the content of a checkpoint, or that with which the workflow began."""
        assert self.began is not None
        past = self.began if mark is None else mark.revision
        undone = [
            (number, revision.label.agent, revision.time)
            for number, revision in enumerate(self.revisions)
            if past is not None and number > past and revision.label.workflow != "wf"
            if self.rolled is None or not self.rolled[0] < number <= self.rolled[1]  # it is undone already
        ]
        content = self.revisions[self.began].content if mark is None else mark.content
        book = self if same(content, self.content) else self.wrote(content, label, now)
        book = replace(book, rolled=None if past is None else (past, book.revision))
        return book, Undone(self.revision, [listed(deed) for deed in effects], undone)

    def with_mark(self, *marks: Mark) -> "Book":
        return replace(self, marks={**self.marks, **{mark.order: mark for mark in marks}})

    def with_deed(self, deed: Deed) -> "Book":
        keys = self.keys | {deed.idempotency_key}
        return replace(self, deeds={**self.deeds, (deed.step, deed.key): deed}, keys=keys)

    def back_to(self, mark: Mark) -> "Book":
        """Put aside what comes after a checkpoint, which counts itself; a new line."""
        later = [other._replace(superseded=True) for other in self.live() if other.order > mark.order]
        gone = [deed._replace(superseded=True) for deed in self.deeds_from(mark.step + 1)]
        book = self.with_mark(*later, mark._replace(superseded=False))
        return replace(
            book,
            line=self.line + 1,
            work=None,
            deeds={place: deed for place, deed in self.deeds.items() if deed.step <= mark.step},
            aside={**self.aside, **{deed.order: deed for deed in gone}},
        )

    # Attempts.

    def resumed(
        self, writer: Writer, step: int | None, initial: Content | None, *, force: bool, poison_after: int, now: int
    ) -> tuple["Book", Undone]:
        if writer.fence is not None and writer.fence != self.attempt:
            raise RefusalError(FencedError)
        kept = self.lease if self.held(now) and writer.fence is not None else None
        if self.held(now) and kept is None and not force:
            raise RefusalError(WorkflowBusyError)
        return self._begun(writer, step, initial, kept, poison_after, now)

    def claimed(
        self, writer: Writer, initial: Content | None, claim_id: str, length: int, poison_after: int, now: int
    ) -> tuple["Book", Undone]:
        if self.lease is not None and self.held(now) and self.lease.claim_id != claim_id:
            raise RefusalError(WorkflowBusyError)
        lease = Lease(0, claim_id, f"{writer.agent} here", length, now + length)
        return self._begun(writer, None, initial, lease, poison_after, now)

    def _begun(
        self, writer: Writer, step: int | None, initial: Content | None, lease: Lease | None, poison_after: int, now: int
    ) -> tuple["Book", Undone]:
        book, number, work = self, self.attempt + 1, self.work
        died = None
        if work is not None:
            if work.open and writer.fence is None:
                died = work.step
                work = work._replace(deaths=work.deaths + 1)
            work = work._replace(open=False)
        if book.began is None:
            if initial is not None:
                fence = (writer.elsewhere, 0) if writer.fence is None else ("wf", writer.fence)
                book = book.wrote(initial, Label(writer.agent, *fence), now)
            book = replace(book, began=book.revision)
        mark: Mark | None
        if step is None:
            if work is not None and 0 < poison_after <= work.deaths:
                raise RefusalError(PoisonedStepError)
            mark, effects = book.last_good(), book.deeds_from(book.next_step)
        else:
            mark, effects = book.of_step(step), book.deeds_from(step + 1)
            if mark is None:
                raise RefusalError(CheckpointNotFoundError)
            book, work = book.back_to(mark), None
        before = book.revision
        book, undone = book.rolled_back(mark, effects, Label(writer.agent, "wf", number), now)
        run = Run(
            agent=writer.agent,
            holder="" if lease is None else lease.holder,
            began_at=now,
            line=book.line,
            next_step=0 if mark is None else mark.step + 1,
            back=step is not None,
            from_revision=before,
            revision=book.revision,
            died_step=died,
        )
        book = replace(
            book,
            attempt=number,
            agent=writer.agent,
            lease=None if lease is None else lease._replace(attempt=number),
            work=work,
            poison_after=poison_after,
            runs={**book.runs, number: run},
        )
        return book, undone

    def renewed(self, fence: int, now: int) -> "Book":
        self.admit(Writer("", fence), now)
        if self.lease is None:
            raise RefusalError(LeaseLostError)
        return replace(self, lease=self.lease._replace(until=now + self.lease.length))

    def given_up(self, claim_id: str, now: int) -> "Book":
        if self.lease is None or self.lease.claim_id != claim_id:
            return self
        number = self.lease.attempt
        return replace(self, lease=None, runs={**self.runs, number: self.runs[number]._replace(ended_at=now)})

    def released(self, now: int) -> "Book":
        if self.held(now):
            raise RefusalError(WorkflowBusyError)
        return replace(self, work=None) if self.deaths(now) else self

    # Steps.

    def step_begun(self, writer: Writer, step: int, now: int) -> "Book":
        label = self.admit(writer, now)
        if self.open is not None or step != self.next_step:
            raise RefusalError(StepOrderError)
        deaths = self.work.deaths if self.work is not None and self.work.step == step else 0
        return replace(self, work=Work(step, label.agent, self.attempt, open=True, deaths=deaths))

    def step_completed(self, writer: Writer, step: int, now: int) -> tuple["Book", Mark]:
        label = self.admit(writer, now)
        self.require_open(step)
        mark = Mark(step, self.attempt, self.line, label.agent, COMPLETED, self.content, self.revision)
        return replace(self.with_mark(mark), work=None), mark

    def step_failed(self, writer: Writer, step: int, now: int) -> tuple["Book", Mark, Undone]:
        label = self.admit(writer, now)
        self.require_open(step)
        assert self.work is not None
        mark = Mark(step, self.attempt, self.line, label.agent, FAILED, self.content, self.revision)
        book = replace(self.with_mark(mark), work=self.work._replace(open=False))
        book, undone = book.rolled_back(book.last_good(), book.deeds_from(book.next_step), label, now)
        return book, mark, undone

    # Effects.

    def effect_claimed(
        self, writer: Writer, step: int, key: str, given: str, now: int, *, refuse: bool
    ) -> tuple["Book", Deed]:
        """``given``: the idempotency key that it got. How one is made is not known here, only when it may be a new one."""
        label = self.admit(writer, now)
        self.require_open(step)
        known = self.deeds.get((step, key))
        if known is None:
            assert given not in self.keys, "a key that was given before"
            deed = Deed(step, key, self.line, self.attempt, label.agent, now, given)
        elif known.status != CLAIMED:
            return self, known
        elif refuse:
            raise RefusalError(InDoubtError)
        else:
            deed = known._replace(attempt=self.attempt, agent=label.agent, runs=known.runs + 1, in_doubt=True)
        return self.with_deed(deed), deed

    def effect_recorded(self, writer: Writer, step: int, key: str, status: int, result: bytes | None, now: int) -> "Book":
        self.admit(writer, now)
        self.require_open(step)
        known = self.deeds.get((step, key))
        if known is None or known.status != CLAIMED:
            raise RefusalError(InvalidArgumentError)
        return self.with_deed(known._replace(status=status, result=result))

    # Checkpoints.

    def marked(self, writer: Writer, step: int, status: int, source: tuple[Content, int | None], now: int) -> "Book":
        self.admit(writer, now)
        return self.with_mark(Mark(step, writer.fence or 0, self.line, writer.agent, status, *source))

    def restored(self, writer: Writer, order: tuple[int, int], now: int) -> "Book":
        label = self.admit(writer, now)
        mark = self.marks.get(order)
        if mark is None:
            raise RefusalError(CheckpointNotFoundError)
        return self.wrote(mark.content, label, now).back_to(mark)

    def without(self, writer: Writer, step: int | None, now: int, *, effects: bool) -> tuple["Book", bool]:
        """Delete the checkpoints of a step or all; with the effects on a new line, so that no key is used again."""
        self.admit(writer, now)
        kept = {order: mark for order, mark in self.marks.items() if step is not None and mark.step != step}
        existed = len(kept) < len(self.marks)
        book = replace(self, marks=kept)
        if effects:
            deeds = {place: deed for place, deed in self.deeds.items() if step is not None and deed.step != step}
            aside = {place: deed for place, deed in self.aside.items() if step is not None and deed.step != step}
            existed = existed or len(deeds) + len(aside) < len(self.deeds) + len(self.aside)
            book = replace(book, deeds=deeds, aside=aside, line=self.line + 1)
        return (book, True) if existed else (self, False)

    def forked(self, order: tuple[int, int], now: int) -> "Book":
        """Give the book of a new workflow that goes on where a checkpoint was made."""
        mark = self.marks.get(order)
        if mark is None:
            raise RefusalError(CheckpointNotFoundError)
        new = replace(Book().wrote(mark.content, Label(""), now), began=1)
        done = mark.step if mark.status == COMPLETED else mark.step - 1
        if done < 0:
            return new
        return new.with_mark(Mark(done, 0, 0, mark.agent, COMPLETED, mark.content, 1))
