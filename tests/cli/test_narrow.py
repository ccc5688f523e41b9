"""What the command prints of long, wide and hostile content, on terminals of different widths."""

import unicodedata

import pytest
from rich.cells import cell_len
from tests.cli.running import Command, Terminal
from tests.support.daemons import DaemonProcess

import lastgood

HOSTILE = "日本語の値" * 10 + "👩\u200d👧" * 5 + "שלום" * 4 + "\x1b[31mred\x07\r\nnew\u202eline\u200b\U000e0041"
IDS = ["short", "日本語の状態" * 8, "long-" + "x" * 120, "שלום", "evil\x1b[31m\nid"]
WORKFLOW = "ワークフロー" * 10


@pytest.fixture
async def hostile(own_daemon: DaemonProcess) -> Command:
    """The command, about a store with such content."""
    async with lastgood.connect(own_daemon.address, agent_id="研究者\x1b[2J" + "x" * 40) as client:
        for state_id in IDS:
            state = client.state(state_id)
            await state.set("a", HOSTILE)
            await state.append("list", HOSTILE, {"k": HOSTILE})
            await state.update({lastgood.join("日本語" * 10, "b"): 1, lastgood.join("evil\x1b[0m\nkey"): HOSTILE})
            await state.snapshot("ラベル" * 20, metadata={"why": HOSTILE})
            await state.restore(2)
        workflow = client.workflow(WORKFLOW)
        with pytest.raises(RuntimeError):  # noqa: PT012 - steps of one claim
            async with workflow:
                async with workflow.step(0, agent_id="エージェント" * 10) as step:
                    await step.once("鍵" * 20 + "\x1b[1m", lambda: HOSTILE)
                async with workflow.step(1, agent_id="b"):
                    raise RuntimeError(HOSTILE)
    return Command(own_daemon.folder)


TABLES = [
    ["status"],
    ["states"],
    ["workflows"],
    ["workflow", "show", WORKFLOW],
    ["checkpoints", WORKFLOW],
    ["history", IDS[-1]],
    ["diff", IDS[1], "1", "3"],
    ["snapshots", IDS[0]],
]


@pytest.mark.parametrize("columns", [40, 80, 120])
async def test_tables_fit_and_are_plain(hostile: Command, columns: int) -> None:
    hostile.environment["COLUMNS"] = str(columns)
    for arguments in TABLES:
        printed = hostile.says(*arguments)
        for line in printed.splitlines():
            assert cell_len(line) <= columns, (arguments, line)
            assert not any(unicodedata.category(each) in {"Cc", "Cs"} or each in "\u202e\u200b\U000e0041" for each in line)


async def test_a_narrow_terminal_loses_nothing_that_a_wide_one_shows(hostile: Command) -> None:
    """Columns that do not fit beside each other stand below each other."""
    terminal = Terminal(hostile, "workflows", columns=40)
    shown = terminal.end().out
    names = [line.split()[0] for line in shown.splitlines()]
    assert names == ["workflow", "condition", "step", "attempt", "holder", "lease", "age"]
    hostile.environment["COLUMNS"] = "40"
    assert hostile.says("states").count("revision  4") == len(IDS)
    assert hostile.says("checkpoints", WORKFLOW).count("✔ last good") == 1
    told = hostile.says("workflow", "show", WORKFLOW)
    assert "■ ended\n    given back by\n" in told, "what happened stands below its time"
