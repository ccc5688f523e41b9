"""What tests of exporting and importing share: a state with all that there is, and all that can be asked of it."""

import math
import struct
from datetime import UTC, datetime
from typing import Any

import lastgood
import lastgood.sync
from lastgood import (
    Client,
    SharedState,
)
from lastgood_proto.values import encode

ODD_NAN = struct.unpack(">d", bytes.fromhex("fff8000000000123"))[0]
RICH: dict[str, Any] = {
    "none": None,
    "bools": [True, False, 1, 0, 1.0, -0.0],
    "ints": [-(2**63), 2**63 - 1, 2**53 + 1],
    "floats": [0.1, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 1e22],
    "texts": ["", 'é\u2028\x85\x00\n\r\t"\\', "\U0001f600", "$bytes"],
    "bytes": [b"", b"\x00\xff\xc1", b"x" * 1000],
    "times": [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 6, UTC)],
    "like": [{"$bytes": "AA=="}, {"$map": {"$map": 1}}, {"$msgpack": 1}, {"$redacted": {"digest": "", "value": 1}}],
    "order": {"z": 1, "a": 2, "m": {}},
    "a.b\\c": {"x.y": [[], {}]},
}


async def exported(client: Client, state_id: str) -> list[str]:
    return [line async for line in client.export_state(state_id)]


async def seen(state: SharedState) -> dict[str, Any]:
    """All that can be asked of a state, values by their bytes."""
    entries = await state.get_history()
    paths = {entry.path for entry in entries} | {"list.0", "rich.order", "rich.order.z", "gone"}
    return {
        "revision": await state.revision(),
        "contents": [encode(await state.get(at=entry.revision)) for entry in entries],
        "names": [list(await state.get(at=entry.revision)) for entry in entries],
        "history": [without_state(entry) for entry in entries],
        "of paths": {path: [without_state(each) for each in await state.get_history(path)] for path in sorted(paths)},
        "snapshots": [
            (each.snapshot_id, each.revision, each.label, each.metadata, each.created_at)
            for each in await state.list_snapshots()
        ],
        "lineage": await state.lineage(),
    }


def without_state(entry: lastgood.HistoryEntry) -> Any:  # noqa: ANN401 - a tuple of what is the same in another state
    source = entry.source and (entry.source.state_id, entry.source.revision)
    value = encode(entry.value) if entry.existed else b""
    who = (entry.agent_id, entry.attempt, entry.step)
    return entry.revision, entry.path, entry.operation, value, entry.existed, *who, entry.timestamp, source


async def enriched(client: Client, state: SharedState) -> None:
    """Do all that can be done to a state."""
    await state.set("rich", RICH)
    await state.set("odd", ODD_NAN)
    await state.update({"list": list(range(300)), "gone": {"x": 1}})
    await state.snapshot("first", metadata={"when": datetime(2026, 1, 1, tzinfo=UTC), "raw": b"\x00"})
    await client.state(state.state_id, agent_id="other").append("list", {"deep": [1]}, b"\x01")
    await state.set("list", [*range(1, 300), {"deep": [1]}, b"\x01"])
    await state.delete("gone")
    await state.set("rich", {**RICH, "none": 1})
    await state.set("rich", {**RICH, "none": 1})
    async with state.transaction() as tx:
        tx.set("a", 1)
        tx.delete("rich.order")
        tx.increment("count", 2)
    await state.merge({"rich": {"order": {"new": 1}}})
    await state.restore(3, paths=["gone", "rich.order"])
    await state.snapshot()
    await state.restore(2)
    await state.restore(4)
    workflow = client.workflow(state.state_id)
    async with workflow, workflow.step(0, agent_id="worker"):
        await workflow.state.set("by", "a step")
