"""``export`` and ``import``."""

from pathlib import Path

from tests.cli.running import Command, Terminal

import lastgood


async def test_to_a_file_and_back(command: Command, client: lastgood.Client, state_id: str, tmp_path: Path) -> None:
    state, file = client.state(state_id), tmp_path / "trip.jsonl"
    await state.set("x", ["é\u2028", b"\x00"])
    assert command.says("export", state_id, str(file)) == f"{state_id} is in {file}\n"
    assert file.read_text().count("\n") == 3
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    assert command.json("export", state_id, str(file)) == {"state": state_id, "file": str(file), "lines": 3}
    assert command.says("import", f"{state_id}-2", str(file)) == f"{state_id}-2 is at revision 1\n"
    assert command.json("import", f"{state_id}-3", str(file)) == {"state": f"{state_id}-3", "revision": 1}
    assert await client.state(f"{state_id}-2").get("x") == ["é\u2028", b"\x00"]


async def test_through_a_pipe(command: Command, client: lastgood.Client, state_id: str) -> None:
    await client.state(state_id).set("x", "é\u2028\x85")
    text = command.process("export", state_id)
    assert (text.status, text.err) == (0, "")
    assert len(text.out.splitlines()) == 3  # nothing in it that anybody might take for the end of a line
    done = command.process("import", f"{state_id}-2", given=text.out)
    assert done == (0, f"{state_id}-2 is at revision 1\n", "")
    assert await client.state(f"{state_id}-2").get("x") == "é\u2028\x85"


async def test_what_goes_wrong(command: Command, client: lastgood.Client, state_id: str, tmp_path: Path) -> None:
    file = tmp_path / "trip.jsonl"
    file.write_text("before")
    assert "there is no state" in command.complains(1, "export", state_id, str(file))
    assert file.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    said = command.complains(1, "import", state_id, str(file))
    assert "nothing was imported: lines must be those of an export; line 1: Expecting value" in said
    file.write_bytes(b"\xff\n")
    assert "nothing was imported: line 1 is not UTF-8" in command.complains(1, "import", state_id, str(file))
    assert "No such file" in command.complains(1, "import", state_id, str(tmp_path / "none"))
    await client.state(state_id).set("x", 1)
    assert "No such file" in command.complains(1, "export", state_id, str(tmp_path / "none" / "file"))
    command.says("export", state_id, str(file))
    assert "exists" in command.complains(1, "import", state_id, str(file))


def test_nothing_to_import(command: Command, state_id: str) -> None:
    done = command.process("import", state_id, given="")
    assert (done.status, done.out) == (1, "")
    assert "standard input is empty. To read a file: lastgood import STATE FILE" in done.err


def test_a_terminal_is_told_that_it_is_read(command: Command, state_id: str) -> None:
    terminal = Terminal(command, "import", state_id)
    terminal.wait_for("reading an export from the terminal; Ctrl-D ends it")
    terminal.type("\x04")
    assert terminal.end().status == 1
