"""What a redaction must amount to, on the plain model of ``tests.engine.model``: a text replaced in everything, by hand."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from tests.engine import model
from tests.engine.model import Life, Revision, Stage, Touch, Value

from lastgood_proto import values
from lastgood_proto.paths import Path


class Swap(NamedTuple):
    """A text, and what is put in its place."""

    text: str
    by: str

    def name(self, name: str) -> str:
        return name.replace(self.text, self.by)

    def path(self, path: Path) -> Path:
        return tuple(map(self.name, path))

    def value(self, value: Value) -> Value:
        """Give a value without the text."""
        if type(value) is bytes:
            return value.replace(self.text.encode(), self.by.encode())
        if type(value) is str:
            return self.name(value)
        if type(value) is list:
            return [self.value(item) for item in value]
        if type(value) is dict:
            swapped = {self.name(name): self.value(child) for name, child in value.items()}
            assert len(swapped) == len(value), f"two names of {list(value)} have become one"
            return swapped
        return value

    def encoded(self, value: bytes | None) -> bytes | None:
        return None if value is None else values.encode(self.value(values.decode(value)))


def replaced_at(value: Value, swap: Swap, path: Path = ()) -> Iterator[Path]:
    """Give where something is that reads otherwise than before: values, and what is below names, in their new words."""
    if type(value) is dict:
        for name, child in value.items():
            here = (*path, swap.name(name))
            if name == here[-1]:
                yield from replaced_at(child, swap, here)
            else:
                yield here
    elif type(value) is list:
        for index, item in enumerate(value):
            yield from replaced_at(item, swap, (*path, str(index)))
    elif type(value) in {str, bytes} and swap.value(value) != value:
        yield path


def has_text(life: Life, text: str) -> bool:
    """Whether a text is in anything that is left of a state."""
    return any(_is_in(revision.tree, text) for number, revision in enumerate(life.revisions) if life.has(number))


def has_had(life: Life, text: str) -> bool:
    """Whether a text was ever in a state, or in the name of something that was."""
    return any(
        _is_in(revision.tree, text) or any(text in name for path in revision.bytes_at for name in path)
        for revision in life.revisions
    )


def _is_in(value: Value, text: str) -> bool:
    return text.encode() in values.encode(value)


def redacted(life: Life, swap: Swap, now: int) -> Life:
    """Give a life in which a text has never been, with a revision that says so.

    Whoever wrote what is put in its place now may have had both in turn, which are the same now. Then it is left open since
    when something has gone that is not there, for items of lists that come to the same have not gone.
    """
    blurred = has_had(life, swap.by)
    revisions = tuple(_swapped(revision, swap, blurred=blurred) for revision in life.revisions)
    after = revisions[-1].tree
    touches = [Touch(path) for path in replaced_at(life.tree, swap)]
    return replace(life, revisions=revisions).wrote([Stage(after, after, touches)], now)


def _swapped(revision: Revision, swap: Swap, *, blurred: bool) -> Revision:
    left = [path for path, there in revision.bytes_at.items() if there is not None or not blurred]
    known = {swap.path(path): path for path in sorted(left, key=lambda path: path != swap.path(path))}
    after = swap.value(revision.tree)
    return Revision(
        after,
        revision.timestamp,
        {path: model.encoded(after, path) for path in known},
        {path: revision.last_change[was] for path, was in known.items() if was in revision.last_change},
        frozenset(path for path, was in known.items() if was in revision.must),
        frozenset(path for path, was in known.items() if was in revision.may),
    )
