"""What the model says to a command: what it is about, whether it may, and what a restore must leave."""

from tests.engine import model
from tests.engine.model import Everything, Life, Mark, PointOf, RefusalError, Value

from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine import edits
from lastgood_daemon.engine.errors import (
    CheckpointNotFoundError,
    ConflictError,
    FencedError,
    PathError,
    RevisionUnavailableError,
    StateNotFoundError,
)
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_proto.paths import Path


def life_of(before: Everything, ref: StateRef) -> Life:
    life = before.life(ref.state_id)
    if ref.incarnation not in {0, life.incarnation}:
        raise RefusalError(StateNotFoundError)
    return life


def require_attempt(before: Everything, author: Author) -> None:
    if author.workflow_id and before.work(author.workflow_id).attempt != author.attempt:
        raise RefusalError(FencedError)


def require(life: Life, expected: Precondition) -> None:
    known = life.revisions[-1].last_change
    paths = expected.paths.items()
    if expected.revision not in {None, life.revision} or any(known[p] > s or s > life.revision for p, s in paths):
        raise RefusalError(ConflictError)


def content_of(before: Everything, content: Value) -> tuple[Value, Mark | None]:
    """Give the content of a target, and the checkpoint that it was, or refuse."""
    mark = None
    if type(content) is dict:
        return content, None
    if not isinstance(content, PointOf):
        workflow_id, *order = content
        mark = before.work(workflow_id).marks.get(tuple(order))
        if mark is None:
            raise RefusalError(CheckpointNotFoundError)
        content = mark.point
    life = life_of(before, StateRef(content.state_id, content.incarnation))
    if not life.has(content.revision):
        raise RefusalError(RevisionUnavailableError)
    return life.revisions[content.revision].tree, mark


def number_of(some: list[tuple[str, edits.Edit]], tree: object) -> bytes | None:
    ((_, edit),) = some
    return model.encoded(tree, edit.path) if isinstance(edit, edits.Increment) else b""


def _minimal(paths: tuple[Path, ...]) -> list[Path]:
    return [p for p in set(paths) if not any(p != other and p[: len(other)] == other for other in paths)]


def with_paths_of(tree: Value, target: Value, paths: tuple[Path, ...]) -> Value:
    """Restore paths one by one: first what is put, items of lists from the front, then what goes, from the back."""
    by_index = sorted(
        _minimal(paths), key=lambda path: [(model.index_of(s) is None, model.index_of(s) or 0, s) for s in path]
    )
    if any(all(model.lookup(each, path) is model.MISSING for each in (tree, target)) for path in by_index):
        raise RefusalError(PathError)
    for path in by_index:
        if model.lookup(target, path) is not model.MISSING:
            tree = model.put(tree, path, model.lookup(target, path), may_append=True)
    for path in reversed(by_index):
        if model.lookup(target, path) is model.MISSING:
            tree = model.remove(tree, path)
    return tree


def check_places(before: Value, target: Value, after: Value, paths: tuple[Path, ...]) -> None:
    """What was restored has the order it had inside; what it lies in keeps its own."""
    for path in _minimal(paths):
        if model.lookup(target, path) is not model.MISSING and all(model.index_of(segment) is None for segment in path):
            assert model.encoded(after, path) == model.encoded(target, path)
    for path in model.paths_of(after):
        old, new = model.lookup(before, path), model.lookup(after, path)
        elsewhere = not any(path[: len(p)] == p for p in paths) and all(model.index_of(segment) is None for segment in path)
        if type(old) is dict and type(new) is dict and elsewhere:
            assert [name for name in old if name in new] == [name for name in new if name in old]
