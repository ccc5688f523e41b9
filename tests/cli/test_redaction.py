"""``redact``."""

import json

from tests.cli.running import Command, Terminal

import lastgood

KEY = "sk-live-0123456789"


async def test_the_text_comes_from_standard_input(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("k", KEY)
    await state.snapshot(KEY)
    done = command.process("redact", state_id, given=f"{KEY}\n")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{state_id} is at revision 2: replaced in 1 revision and 1 other record\n"
    assert await state.get("k") == "[redacted]"
    again = command.process("redact", state_id, given=KEY)
    assert (again.status, again.out) == (0, f"{state_id} does not have it, nor has its history\n")


async def test_as_json_and_by_another_text(command: Command, client: lastgood.Client, state_id: str) -> None:
    state = client.state(state_id)
    await state.set("k", [KEY])
    done = command.process("redact", state_id, "--replacement", "***", "--json", given=KEY)
    assert json.loads(done.out) == {"state": state_id, "revision": 2, "revisions": 1, "records": 0}
    assert await state.get("k") == ["***"]


async def test_on_a_terminal_it_is_not_shown_and_has_to_be_confirmed(
    command: Command, client: lastgood.Client, state_id: str
) -> None:
    state = client.state(state_id)
    await state.set("k", KEY)
    for answer, status in (("n", 1), ("y", 0)):
        terminal = Terminal(command, "redact", state_id, columns=300)
        terminal.wait_for(f"Text to redact from {state_id}: ")
        terminal.type(f"{KEY}\n")
        terminal.wait_for(f"Replace it by '[redacted]' in all revisions of {state_id}? This cannot be undone. [y/N] ")
        assert await state.get("k") == KEY
        terminal.type(f"{answer}\n")
        done = terminal.end()
        assert done.status == status
        assert KEY not in done.out
    assert await state.get("k") == "[redacted]"


async def test_with_yes_it_does_not_ask(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("k", KEY)
    terminal = Terminal(command, "redact", state_id, "--yes")
    terminal.wait_for(": ")
    terminal.type(f"{KEY}\n")
    done = terminal.end()
    assert done.status == 0
    assert "[y/N]" not in done.out
    assert await client.state(state_id).get("k") == "[redacted]"


async def test_without_a_text_it_is_wrong_usage(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("k", KEY)
    wrong: list[tuple[str | bytes, str]] = [("", "there is no text to redact"), (b"\xff\xfe", "not UTF-8")]
    for given, complaint in wrong:
        done = command.process("redact", state_id, given=given)
        assert (done.status, done.out) == (2, "")
        assert complaint in done.err


async def test_where_it_cannot_be_replaced(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set(f"keys.{KEY}", 1)
    done = command.process("redact", state_id, given=KEY)
    assert done.status == 1
    assert "a path that revision 1 writes" in done.err
    assert KEY not in done.err
