"""Every call that writes into a state, for what holds for all of them.

Each works on a state whose content is ``CONTENT``, and changes it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from lastgood import SharedState, Transaction

CONTENT: dict[str, Any] = {"text": "old", "number": 1, "list": ["a"], "map": {"x": 1}}

Verb = Callable[[SharedState], Awaitable[object]]


async def _transaction(state: SharedState) -> None:
    async with state.transaction() as tx:
        tx.set("text", "new")
        tx.append("list", "b")


async def _transact(state: SharedState) -> None:
    async def change(tx: Transaction) -> None:
        tx.set("number", await tx.get("number") + 1)

    await state.transact(change)


WRITES: dict[str, Verb] = {
    "set": lambda state: state.set("text", "new"),
    "update": lambda state: state.update({"text": "new", "map.y": 2}),
    "merge": lambda state: state.merge({"map": {"y": 2}}),
    "append": lambda state: state.append("list", "b", "c"),
    "increment": lambda state: state.increment("number"),
    "delete": lambda state: state.delete("map.x"),
    "restore": lambda state: state.restore(0),
    "transaction": _transaction,
    "transact": _transact,
}
