"""The history of a path by the index says what walking the whole log says, whatever is indexed, imaged, or at hand."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest

from lastgood_daemon.authority import candidates, indexing, path_history, rows, walk
from lastgood_daemon.authority.background import Background
from lastgood_daemon.authority.history import HistoryQuestion, history
from lastgood_daemon.authority.indexing import Indexing, index_page
from lastgood_daemon.engine.edits import Append, Delete, Edit, Increment, Merge, Set
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.history import HistoryItem, Step, seen_from
from lastgood_daemon.engine.image import Image, encode_image
from lastgood_daemon.engine.log import Author, Entry, LoggedEdit, encode_entry
from lastgood_daemon.engine.restore import bridge, bridge_paths
from lastgood_daemon.engine.state import State, plan
from lastgood_daemon.engine.trail import Mark, Trail
from lastgood_daemon.store import upkeep
from lastgood_daemon.store.protocol import Append as StoreAppend
from lastgood_daemon.store.protocol import LogId, LogRow, StoreBrokenError, Unit
from lastgood_daemon.store.sqlite import SqliteStore
from lastgood_proto.paths import Path
from lastgood_proto.values import MAX_BYTES, encode

LOG = LogId("s", 1)
NAMES = ("a", "b", "0", "1", "2", "a.b")
REVISIONS = 60
ALL = REVISIONS + 10
SEEDS = 15


class Life:
    """A state, and every step of its way."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.steps: list[Step] = []
        self.states = [State("s")]
        while len(self.steps) < REVISIONS:
            self._write()

    def _write(self) -> None:
        state = self.states[-1]
        edits = self._restored() if self.random.random() < 0.1 else self._edited()
        if edits is None:
            return
        after, entry = state.advance(edits, Author("me"), len(self.steps) // 7)
        self.steps.append(Step(entry, state.tree, after.tree))
        self.states.append(after.logged(1))

    def _edited(self) -> Sequence[LoggedEdit] | None:
        chosen = [self.edit() for _ in range(self.random.choice((1, 1, 1, 2, 4)))]
        try:
            planned = plan(self.states[-1].tree, [(type(edit).__name__, edit) for edit in chosen])
        except RefusedError:
            return None
        return planned.edits if planned.writes else None

    def _restored(self) -> tuple[LoggedEdit, ...] | None:
        now, target = self.states[-1].tree, self.random.choice(self.states).tree
        if self.random.random() < 0.5:
            return (LoggedEdit("restore", (), tuple(bridge(now.root, target.root))),)
        paths = [self.path() for _ in range(2)]
        try:
            return tuple(LoggedEdit("restore", path, tuple(c)) for path, c in bridge_paths(now, target.root, paths))
        except RefusedError:
            return None

    def edit(self) -> Edit:
        path = self.path()
        match self.random.choice(("set", "set", "delete", "append", "increment", "merge", "item")):
            case "set":
                return Set(path, encode(self._value(3 - len(path)) if path else self._map(2)))
            case "delete":
                return Delete(path)
            case "append":
                return Append(path, tuple(encode(self._value(1)) for _ in range(self.random.randrange(1, 3))))
            case "increment":
                return Increment(path, encode(self.random.randrange(2)))
            case "merge":
                return Merge(path, encode(self._map(2)))
        lists = [path for path in self.paths() if (node := self.states[-1].tree.find(path)) is not None and node.is_list]
        return Delete((*self.random.choice(lists), "0")) if lists else Set(("b",), encode([1, [2], {"a": 3}]))

    def path(self) -> Path:
        return tuple(self.random.choices(NAMES, k=self.random.choice((0, 1, 1, 2, 2, 3))))

    def paths(self) -> list[Path]:
        """Those to ask about."""
        return [(), *((a,) for a in NAMES), *((a, b) for a in NAMES for b in NAMES)]

    def _value(self, depth: int) -> Any:  # noqa: ANN401 - any value
        if depth <= 0 or self.random.random() < 0.3:
            return self.random.choice((None, 0, 1, "x", "y"))
        if self.random.random() < 0.5:
            return [self._value(depth - 1) for _ in range(self.random.randrange(4))]
        return self._map(depth)

    def _map(self, depth: int) -> dict[str, Any]:
        return {name: self._value(depth - 1) for name in self.random.sample(NAMES, self.random.randrange(4))}

    def oracle(self, question: HistoryQuestion) -> list[HistoryItem]:
        """The items of a question: every step is looked at."""
        end = REVISIONS + 1 if question.before is None else question.before
        seen = [seen_from(step, question.path) for step in self.steps if question.after < step.after.revision < end]
        found = [item.trimmed(question.value_bytes)[0] for item in seen if item is not None]
        return found[::-1] if question.newest_first else found

    def questions(self) -> Iterator[HistoryQuestion]:
        deep = [tuple(self.random.choices(NAMES, k=self.random.choice((3, 4)))) for _ in range(10)]
        for path in (None, *self.random.sample(self.paths(), 10), *deep):
            for newest_first in (False, True):
                after, before = sorted(self.random.choices(range(ALL), k=2))
                if self.random.random() < 0.6:
                    after, before = 0, ALL
                yield HistoryQuestion(
                    path,
                    after,
                    None if before == ALL else before,
                    newest_first,
                    self.random.choice((0, 1, 3, 10, 1000)),
                    self.random.choice((0, 5, MAX_BYTES)),
                )

    async def stored(self, store: SqliteStore, images: int) -> None:
        rows = [
            LogRow(state.revision, encode_entry(step.entry), state.chain)
            for step, state in zip(self.steps, self.states[1:], strict=True)
        ]
        await store.commit([Unit([StoreAppend(LOG, 0, rows)])])
        for state in self.random.sample(self.states[1:], images):
            data = encode_image(Image(state.tree, state.chain, state.log_bytes))
            damaged = self.random.random() < 0.4
            await store.put_image(LOG, upkeep.Image(state.revision, b"damaged" if damaged else data))

    def present(self, at_hand: int) -> State:
        """The state with so many revisions at hand."""
        state = self.states[-1]
        trail = Trail(oldest=REVISIONS - at_hand + 1)
        for step in self.steps[REVISIONS - at_hand :]:
            trail = trail.extend(Mark.of(step.after, step.entry.changes(), step.entry.author))
        return replace(state, trail=trail)


class LifeOfLists(Life):
    """One in which items are written more often than they move."""

    def edit(self) -> Edit:
        number = len(self.states)
        index = str(self.random.randrange(3))
        match self.random.choice(("all", "item", "move", *["below"] * 6, *["inner"] * 8)):
            case "all":
                return Set(("l",), encode([[number, {"x": 0}], [{"x": 0}, number], [number]]))
            case "item":
                return Set(("l", index), encode([number, {"x": number}]))
            case "move":
                return Delete(("l", "0") if self.random.random() < 0.5 else ("l", index, "0"))
            case "below":
                return Append(("l", index), (encode({"x": number}),))
        return Set(("l", index, self.random.choice("01"), "x"), encode(number))

    def path(self) -> Path:
        return self.random.choice(((), ("l",), ("l", "0"), ("l", "1", "0")))

    def paths(self) -> list[Path]:
        """Those to ask about."""
        items = [("l", i) for i in "012"]
        return [*items, *((*path, i) for path in items for i in "01"), *((*path, i, "x") for path in items for i in "01")]


def told(items: list[HistoryItem]) -> list[tuple[Path, int, str, Entry, bool, bytes | None]]:
    return [
        (i.path, i.revision, i.operation, i.entry, i.omitted, None if i.node is None else i.node.encoded()) for i in items
    ]


def refuse(error: StoreBrokenError) -> None:
    raise error


def make_pages_small(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in (candidates, indexing, path_history, rows):
        if hasattr(module, "PAGE"):
            monkeypatch.setattr(module, "PAGE", size)
    monkeypatch.setattr(path_history, "NEARBY", size // 2 + 1)
    monkeypatch.setattr(walk, "HELD_BYTES", size)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Life, LifeOfLists])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_it_is_what_walking_says(tmp_path: File, monkeypatch: pytest.MonkeyPatch, kind: type[Life], seed: int) -> None:
    make_pages_small(monkeypatch, (1, 3, 10, 100)[seed % 4])
    life = kind(seed)
    store = SqliteStore.open(tmp_path / "lastgood.db")
    await life.stored(store, images=life.random.choice((0, 1, 6)))
    while life.random.random() < 0.8 and await index_page(store, LOG):
        pass
    state = life.present(at_hand=life.random.choice((0, 0, 0, 5, 30)))
    background = Background(refuse)
    for question in life.questions():
        found = [item async for item in history(store, Indexing(store, background), state, question)]
        assert told(found) == told(life.oracle(question)), question
    await store.close()


@pytest.mark.parametrize("damaged", [3, 4, 5])
async def test_behind_a_damaged_image_items_may_have_moved(
    tmp_path: File, monkeypatch: pytest.MonkeyPatch, damaged: int
) -> None:
    make_pages_small(monkeypatch, 1)
    store = SqliteStore.open(tmp_path / "lastgood.db")
    state, rows = State("s"), []
    edits: list[Edit] = [
        Set(("l",), encode([{}, {}])),
        Set(("l", "1", "y"), encode("written before it moved")),
        Delete(("l", "0")),
        Set(("other",), encode(1)),
        *(Set(("l", "0", "x"), encode(number)) for number in range(3)),
    ]
    for edit in edits:
        state, entry = state.advance(plan(state.tree, [("edit", edit)]).edits, Author(), 0)
        rows.append(LogRow(state.revision, encode_entry(entry), state.chain))
    await store.commit([Unit([StoreAppend(LOG, 0, rows)])])
    await store.put_image(LOG, upkeep.Image(damaged, b"damaged"))
    question = HistoryQuestion(("l", "0"), 0, None, newest_first=True, limit=0)
    state = replace(state, trail=Trail())
    found = [item async for item in history(store, Indexing(store, Background(refuse)), state, question)]
    assert [item.node and item.node.value() for item in found][:3] == [
        {"y": "written before it moved", "x": number} for number in (2, 1, 0)
    ]
    await store.close()


async def test_below_a_large_value(tmp_path: File) -> None:
    """Opening one is work of its own kind."""
    store = SqliteStore.open(tmp_path / "lastgood.db")
    state, rows = State("s"), []
    large = {f"k{number}": "some text" for number in range(20_000)}
    for _ in range(2):
        edits = (
            LoggedEdit("set", ("big",), plan(State("s").tree, [("set", Set(("big",), encode(large)))]).edits[0].changes),
        )
        state, entry = state.advance(edits, Author(), 0)
        rows.append(LogRow(state.revision, encode_entry(entry), state.chain))
        large["k7"] = "another"
    await store.commit([Unit([StoreAppend(LOG, 0, rows)])])
    for path in (("big", "k7"), ("big",), ()):
        question = HistoryQuestion(path, 0, None, newest_first=False, limit=10)
        state = replace(state, trail=Trail())
        found = [item async for item in history(store, Indexing(store, Background(refuse)), state, question)]
        assert [item.revision for item in found] == [1, 2]
    await store.close()
