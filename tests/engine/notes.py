"""What is noted of a workflow, in plain values: who wrote what when, who holds it, its checkpoints, effects and attempts."""

from typing import NamedTuple, TypeAlias

COMPLETED, FAILED = 3, 4
CLAIMED, RECORDED, SETTLED_AS_FAILED, DONE = 1, 2, 3, 4
Content: TypeAlias = dict[str, int]
"""What the state holds."""


class Writer(NamedTuple):
    """Who asks: an agent, with the fence of an attempt at the workflow, or of another one, or without."""

    agent: str
    fence: int | None = None
    elsewhere: str = ""


class Label(NamedTuple):
    """Under which name a revision was written."""

    agent: str
    workflow: str = ""
    attempt: int = 0
    step: int | None = None


class Revision(NamedTuple):
    content: Content
    label: Label
    time: int


class Lease(NamedTuple):
    attempt: int
    claim_id: str
    holder: str
    length: int
    until: int


class Work(NamedTuple):
    """The step at work."""

    step: int
    agent: str
    attempt: int
    open: bool
    deaths: int


class Mark(NamedTuple):
    """A checkpoint. ``revision``: which one of the workflow's state it is; nothing where its content is from elsewhere."""

    step: int
    attempt: int
    line: int
    agent: str
    status: int
    content: Content
    revision: int | None
    superseded: bool = False

    @property
    def order(self) -> tuple[int, int]:
        return self.step, self.attempt


class Deed(NamedTuple):
    """An effect. ``result``: what was recorded, be it a result or the text of a failure."""

    step: int
    key: str
    line: int
    attempt: int
    agent: str
    claimed_at: int
    idempotency_key: str
    status: int = CLAIMED
    runs: int = 1
    in_doubt: bool = False
    result: bytes | None = None
    superseded: bool = False

    @property
    def order(self) -> tuple[int, str, int]:
        return self.step, self.key, self.line


class Run(NamedTuple):
    """An attempt."""

    agent: str
    holder: str
    began_at: int
    line: int
    next_step: int
    back: bool
    from_revision: int
    revision: int
    died_step: int | None
    ended_at: int = 0


class Undone(NamedTuple):
    """What a rollback tells."""

    from_revision: int
    effects: list[Deed]
    revisions: list[tuple[int, str, int]]


def same(one: Content, other: Content) -> bool:
    """Whether two contents are the same, in the same order."""
    return list(one.items()) == list(other.items())


def listed(deed: Deed) -> Deed:
    """Give an effect as lists show it: without its result, but with its failure."""
    return deed if deed.status == SETTLED_AS_FAILED else deed._replace(result=None)
