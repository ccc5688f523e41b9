"""Every operation, with much to do: with very many small parts, and with few large ones.

Each function here prepares a state and returns the call to measure. What it prepares is of the size that the call leaves
behind, so that the memory of the daemon before and after can be compared.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import lastgood

Call = Callable[[], Awaitable[object]]
TASKS = 256
TEXT = "secret-of-a-customer"


class Shape(NamedTuple):
    """How much there is to do: so many parts of so many bytes."""

    name: str
    parts: int
    part_bytes: int


class Load:
    """A client and a state, and content of a shape.

    Attributes:
        client: of the daemon that is measured.
        state: what is prepared and asked for.
        shape: how much of it.
    """

    def __init__(self, client: lastgood.Client, shape: Shape) -> None:
        self.client = client
        self.state = client.state("load", agent_id="load")
        self.shape = shape

    def part(self, number: int) -> Any:  # noqa: ANN401 - any value
        """Return one part: a text, and of the large ones every eighth a list of small integers."""
        size = self.shape.part_bytes
        if size > 1000 and number % 8 == 0:  # noqa: PLR2004 - a list of few items is no different from a text
            return [(number + item) % 100 for item in range(size)]
        return f"{number:0{size}d}"

    def content(self, version: int = 0) -> dict[str, Any]:
        """Return a map of the shape; all of its values differ from those of another version."""
        return {f"k{number}": self.part(number + version) for number in range(self.shape.parts)}

    def items(self, version: int = 0) -> list[Any]:
        """Return a list of the shape."""
        return list(self.content(version).values())

    def paths(self) -> list[str]:
        """Return the paths of the parts in the map."""
        return [f"map.k{number}" for number in range(self.shape.parts)]

    async def each(self, call: Callable[[int], Awaitable[object]]) -> None:
        """Make a call for each part, many at a time."""
        numbers = iter(range(self.shape.parts))

        async def work() -> None:
            for number in numbers:
                await call(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(TASKS):
                group.create_task(work())

    async def write_map(self, version: int = 0) -> int:
        """Set the map of the state."""
        return await self.state.set("map", self.content(version))

    async def write_revisions(self) -> None:
        """Write a revision for each part, all at one key."""
        await self.each(lambda number: self.state.set("key", self.part(number)))


async def set_(load: Load) -> Call:
    """A whole map at one path."""
    await load.write_map()
    content = load.content(1)
    return lambda: load.state.set("map", content)


async def update(load: Load) -> Call:
    """As many paths."""
    await load.write_map()
    content = {f"map.{name}": part for name, part in load.content(1).items()}
    return lambda: load.state.update(content)


async def merge(load: Load) -> Call:
    """A map into a map of the same keys."""
    await load.write_map()
    content = {"map": load.content(1)}
    return lambda: load.state.merge(content)


async def append(load: Load) -> Call:
    """As many items to a list that has as many."""
    await load.state.set("list", load.items())
    items = load.items(1)
    return lambda: load.state.append("list", *items)


async def increment(load: Load) -> Call:
    """A number beside a map."""
    await load.write_map()
    return lambda: load.state.increment("number")


async def delete(load: Load) -> Call:
    """The whole map."""
    await load.write_map()
    return lambda: load.state.delete("map")


async def transaction(load: Load) -> Call:
    """As many writes of several kinds, as one revision."""
    await load.write_map()
    content = load.content(1)

    async def transact() -> None:
        async with load.state.transaction() as tx:
            for number, (name, part) in enumerate(content.items()):
                if number % 4:
                    tx.set(f"map.{name}", part)
                else:
                    tx.append("list", part)

    return transact


async def expected(load: Load) -> Call:
    """A small write under a condition on each of the paths."""
    revision = await load.write_map()
    conditions = dict.fromkeys(load.paths(), revision)
    return lambda: load.state.set("key", 1, expected=conditions)


async def get(load: Load) -> Call:
    """The whole map."""
    await load.write_map()
    return lambda: load.state.get("map")


async def read(load: Load) -> Call:
    """The whole tree, of an earlier revision."""
    revision = await load.write_map()
    await load.state.set("key", 1)
    return lambda: load.state.read("", at=revision)


async def keys(load: Load) -> Call:
    """The names in a map; where the parts are large, these are as large as names go."""
    await load.write_map()
    return lambda: load.state.keys("map")


async def exists(load: Load) -> Call:
    """A key of the map."""
    await load.write_map()
    return lambda: load.state.exists("map.k7")


async def snapshot(load: Load) -> Call:
    """One more snapshot."""
    await take_snapshots(load)
    return lambda: load.state.snapshot("last", metadata={"part": load.part(1)})


async def list_snapshots(load: Load) -> Call:
    """As many snapshots, each with a part as its metadata."""
    await take_snapshots(load)
    return load.state.list_snapshots


async def take_snapshots(load: Load) -> None:
    """Take a snapshot for each part."""
    await load.state.set("key", 1)
    await load.each(lambda number: load.state.snapshot(metadata={"part": load.part(number)}))


async def restore(load: Load) -> Call:
    """A tree in which every part is another."""
    revision = await load.write_map()
    await load.write_map(1)
    return lambda: load.state.restore(revision)


async def restore_paths(load: Load) -> Call:
    """The same, each part named."""
    revision = await load.write_map()
    await load.write_map(1)
    paths = load.paths()
    return lambda: load.state.restore(revision, paths=paths)


async def preview(load: Load) -> Call:
    """The same, to look at."""
    revision = await load.write_map()
    await load.write_map(1)
    return lambda: load.state.preview(revision)


async def diff(load: Load) -> Call:
    """Two maps, in which every part is another."""
    revision = await load.write_map()
    await load.write_map(1)
    return lambda: load.state.diff(revision)


async def get_history(load: Load) -> Call:
    """As many revisions of the whole state."""
    await load.write_revisions()
    return load.state.get_history


async def get_history_of_path(load: Load) -> Call:
    """As many revisions of one path."""
    await load.write_revisions()
    return lambda: load.state.get_history("key")


async def fork(load: Load) -> Call:
    """The present."""
    await load.write_map()
    return load.state.fork


async def checkpoint(load: Load) -> Call:
    """Of a dict, which is stored as a copy."""
    content = {"map": load.content()}
    return lambda: load.client.checkpoints.create_checkpoint("work", 0, "load", "completed", content)


async def one_more_checkpoint(load: Load) -> Call:
    """Of a state, where there are many."""
    await make_checkpoints(load)
    number = load.shape.parts
    return lambda: load.client.checkpoints.create_checkpoint("work", number, "load", "completed", load.state)


async def list_checkpoints(load: Load) -> Call:
    """As many, each with a part as its metadata."""
    await make_checkpoints(load)
    return lambda: load.client.checkpoints.list_checkpoints("work")


async def make_checkpoints(load: Load) -> None:
    """Make a checkpoint for each part."""
    await load.state.set("key", 1)
    made = load.client.checkpoints.create_checkpoint
    await load.each(
        lambda number: made("work", number, "load", "completed", load.state, metadata={"part": load.part(number)})
    )


async def export(load: Load) -> Call:
    """As many revisions."""
    await load.write_revisions()

    async def lines() -> None:
        async for _ in load.client.export_state("load"):
            pass

    return lines


async def import_(load: Load) -> Call:
    """The lines of such an export."""
    await load.write_revisions()
    lines = [line async for line in load.client.export_state("load")]

    async def given() -> AsyncIterator[str]:
        for line in lines:
            yield line

    return lambda: load.client.import_state("imported", given())


async def redact(load: Load) -> Call:
    """A text that is in as many values."""
    content = {name: f"{TEXT} {part}" for name, part in load.content().items()}
    await load.state.set("map", content)
    return lambda: load.state.redact(TEXT)


async def verify(load: Load) -> Call:
    """As many revisions."""
    await load.write_revisions()
    return load.client.verify


async def compact(load: Load) -> Call:
    """As many revisions, of which ten are kept."""
    await load.write_revisions()
    await load.client.set_retention(lastgood.Retention(revisions=10))
    return load.client.compact


OPERATIONS: dict[str, Callable[[Load], Awaitable[Call]]] = {
    "set": set_,
    "update": update,
    "merge": merge,
    "append": append,
    "increment": increment,
    "delete": delete,
    "transaction": transaction,
    "expected": expected,
    "get": get,
    "read": read,
    "keys": keys,
    "exists": exists,
    "snapshot": snapshot,
    "list_snapshots": list_snapshots,
    "restore": restore,
    "restore(paths)": restore_paths,
    "preview": preview,
    "diff": diff,
    "get_history": get_history,
    "get_history(path)": get_history_of_path,
    "fork": fork,
    "checkpoint(dict)": checkpoint,
    "checkpoint(state)": one_more_checkpoint,
    "list_checkpoints": list_checkpoints,
    "export": export,
    "import": import_,
    "redact": redact,
    "verify": verify,
    "compact": compact,
}
