"""Exporting page by page: each costs what it gives, and together they are the lines of one export."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.authority.at_work import Daemon, running

from lastgood_daemon.authority import compaction, exporting, imaging
from lastgood_daemon.authority.commands.retention import SetRetention
from lastgood_daemon.authority.commands.snapshots import TakeSnapshot
from lastgood_daemon.authority.commands.write import Write
from lastgood_daemon.authority.exporting import export_page
from lastgood_daemon.authority.targets import StateRef
from lastgood_daemon.engine import order
from lastgood_daemon.engine.edits import Set
from lastgood_daemon.engine.log import Author
from lastgood_daemon.engine.preconditions import Precondition
from lastgood_daemon.engine.retention import Retention
from lastgood_proto.values import encode

REF = StateRef("s")


async def written(daemon: Daemon, value: object) -> None:
    await daemon.do(Write(REF, Author(), Precondition(), (("set", Set(("k",), encode(value))),), 1))


async def snapshot(daemon: Daemon, name: str) -> None:
    await daemon.do(TakeSnapshot(REF, Author(), name, None, None, 1))


async def pages(daemon: Daemon) -> list[bytes]:
    found: list[bytes] = []
    token = ""
    while token or not found:
        page = await export_page(daemon.authority.loader, REF, token)
        found.append(page.data)
        token = page.next_token
    return found


def lines(found: list[bytes]) -> list[Any]:
    return [json.loads(line) for line in b"".join(found).splitlines()]


class Count:
    """How often a function was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self.calls = 0
        was = getattr(module, name)

        def counted(*arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever it takes and gives
            self.calls += 1
            return was(*arguments, **more)

        monkeypatch.setattr(module, name, counted)


async def test_many_snapshots_are_put_in_order_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "RUN", 10)
    monkeypatch.setattr(exporting, "PAGE_BYTES", 1_000)
    async with running(tmp_path) as daemon:
        await written(daemon, 1)
        for number in range(60):
            await snapshot(daemon, f"snapshot{number}")
        orders = Count(monkeypatch, order, "_sorted")
        steps = Count(monkeypatch, exporting, "_next_snapshots")
        found = await pages(daemon)
    assert len(found) > 5
    assert [line["snapshot"]["snapshot_id"] for line in lines(found)[2:-1]] == [f"snapshot{number}" for number in range(60)]
    assert orders.calls < 60 / 5, "once, a run at a time, and not again for each page"
    assert steps.calls <= len(found) + 1, "many in one go"


async def test_what_was_kept_goes_on_from_what_was_kept_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging, "FIRST_BYTES", 10**6)
    monkeypatch.setattr(compaction, "CHUNK", 7)
    async with running(tmp_path) as daemon:
        for number in range(40):
            await written(daemon, number)
            if number < 30 and not number % 3:
                await snapshot(daemon, f"snapshot{number}")
        await daemon.do(SetRetention("s", Retention(revisions=3), 1))
        await daemon.authority.housekeeper.keep("s")
        rebuilt = Count(monkeypatch, exporting, "rebuilt")
        whole = await pages(daemon)
        assert len(whole) == 1
        assert rebuilt.calls <= 2, "the first of them, and the floor"
        monkeypatch.setattr(exporting, "PAGE_BYTES", 100)
        assert b"".join(await pages(daemon)) == whole[0]
    kept = [line for line in lines(whole) if "kept" in line]
    assert [line["value"]["k"] for line in kept] == list(range(0, 30, 3))


async def test_a_line_over_several_pages_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PIECE_BYTES", 1_000)
    monkeypatch.setattr(exporting, "PAGE_BYTES", 1_000)
    async with running(tmp_path) as daemon:
        await written(daemon, "x" * 50_000)
        made = Count(monkeypatch, exporting, "entry_document")
        found = await pages(daemon)
        assert made.calls == 1
        assert max(map(len, found)) <= 1_000
        assert lines(found)[1]["edits"][0]["changes"][0]["value"] == "x" * 50_000
        monkeypatch.setattr(exporting, "KEPT_SECONDS", 0.0)
        assert await pages(daemon) == found
