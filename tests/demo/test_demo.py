"""The demo as its users see it: a command that runs real processes and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from itertools import groupby
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

import lastgood
from lastgood import demo
from lastgood.demo import play
from lastgood.demo.show import Show

SECONDS = 60.0
ROW = re.compile(r"^[\d -]* \d+\.\d\d  (\w+) +(\d?)  +(\d?)  +(\w+)  ", re.MULTILINE)
"""A row of the timeline: agent, attempt, step, operation."""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A small folder to study, with a file that does not parse."""
    folder = tmp_path / "code"
    (folder / "pack").mkdir(parents=True)
    for name in ("one.py", "two.py", "three.py", "pack/__init__.py", "pack/four.py", "pack/five.py"):
        (folder / name).write_text(f'"""About {name}."""\nimport os\n\ndef work():\n    return "{name}"\n')
    (folder / "broken.py").write_text("def (")
    return folder


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo makes its temporary folder."""
    folder = tmp_path / "t"
    folder.mkdir()
    return folder


def command(code: Path | str) -> list[str]:
    return [sys.executable, "-m", "lastgood", "demo", str(code)]


def environment(temporary: Path) -> dict[str, str]:
    # The last two are about another daemon of the user, with which the demo has nothing to do.
    own = {"TMPDIR": str(temporary), "COLUMNS": "120", "LASTGOOD_TOKEN": "secret", "LASTGOOD_AUTOSTART": "0"}
    return os.environ | own


def processes_of(folder: Path) -> list[str]:
    """The command lines of the processes that were told about a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended
        if str(folder) in line:
            found.append(line)
    return found


def assert_shown_by_readme(said: str) -> None:
    """The README shows what the demo prints, but for names and numbers."""
    shown = re.search(r"^\$ make demo\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert shown is not None
    said = re.sub(r" \(1 skipped\)|, skipped\.broken\\\.py", "", said)  # which the README's run had none of
    lines = re.sub(r"\n {20,}", " ", shown[1]).splitlines()
    missing = [line for line in lines if line.strip() != "…" and in_general(line) not in in_general(said)]
    assert missing == []


def in_general(text: str) -> str:
    """Return a text on one line, without its names and numbers."""
    text = re.sub(r"/\S+|\b[0-9a-f]{8,}\b", "NAME", text)
    return " ".join(re.sub(r"\d[\d.,]*(-\d+)?", "#", text).split())


def test_ends_with_the_report_and_exactly_the_undisturbed_state(code: Path, temporary: Path) -> None:
    done = subprocess.run(
        command(code), env=environment(temporary), capture_output=True, text=True, timeout=SECONDS, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    assert "killed with SIGKILL in the middle of step 1" in said
    assert "⟲ back to revision 2, the checkpoint of step 0" in said
    assert re.search(r"could not undo: announcement \(key \w{8}…\), recorded; it is not made again", said)
    assert said.count(": a ranking of 6 files is on its way") == 1
    assert "announcements heard in all: 1" in said
    assert "is refused, FencedError" in said
    assert "the state is exactly that of the undisturbed run" in said
    assert [row for row, _ in groupby(" ".join(filter(None, cells)) for cells in ROW.findall(said))] == [
        "demo set",
        "researcher 2 0 update",
        "researcher 2 0 checkpoint",
        "analyst 3 1 once",
        "analyst 3 1 set",
        "analyst 3 1 update",
        "analyst 3 1 delete",
        "analyst 3 1 append",
        "analyst 3 1 SIGKILL",
        "analyst 4 restore",
        "analyst 4 1 set",
        "analyst 4 1 checkpoint",
        "writer 5 2 set",
        "writer 5 2 append",
        "writer 5 2 set",
        "writer 5 2 checkpoint",
    ]
    assert_shown_by_readme(said)
    assert f"What is in {code}" in said
    assert "Largest modules" in said
    assert "6 files studied (1 skipped)" in said
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


FAULTS = {
    # What outlives a process is forgotten: what is to run once runs again.
    "a ledger that forgets": """
        from lastgood import Step

        async def once(self, key, function, *args):
            return function(*args)

        Step.once = once
    """,
    # Whoever claims a workflow finds it as the one before has left it.
    "a rollback that is none": """
        from lastgood import ResumableWorkflow

        claim = ResumableWorkflow.__aenter__

        async def enter(self):
            await claim(self)
            if self.rollback is not None:
                await self.state.restore(self.rollback.from_revision)
            return self

        ResumableWorkflow.__aenter__ = enter
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("a ledger that forgets", "the announcement was made 2 times, not once"),
        ("a rollback that is none", "the analyst ended with status 1: TypeError"),
    ],
)
def test_fails_where_lastgood_does(code: Path, temporary: Path, tmp_path: Path, fault: str, complaint: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(FAULTS[fault]))  # Python runs it in each of the processes
    surroundings = environment(temporary) | {"PYTHONPATH": str(tmp_path)}

    done = subprocess.run(command(code), env=surroundings, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith(f"lastgood demo: {complaint}")
    assert "Lost: nothing" not in done.stdout
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["serves", "and hangs"])
def test_leaves_nothing_behind_when_interrupted(code: Path, temporary: Path, moment: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        command(code), env=environment(temporary), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert any(moment in line for line in running.stdout)
        running.send_signal(number)
        status = running.wait(SECONDS)
        complaint = running.stderr.read()

    assert status == 130
    assert complaint == "lastgood demo: interrupted; its daemon has ended, and its folder is removed\n"
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


@pytest.mark.slow
def test_fails_where_the_state_is_not_that_of_the_undisturbed_run(
    code: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def come_unfenced(run: "play._Run", show: Show) -> None:
        """A latecomer that no attempt is bound to, and that nothing holds back."""
        assert show.seconds > 0
        info = await run.workflow.state.get("study")
        async with lastgood.connect(data_dir=next(temporary.iterdir())) as client:
            await client.state(run.workflow.workflow_id).set("study", info | {"by": "a latecomer"})

    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(play, "_come_late", come_unfenced)

    assert demo.main([str(code)]) == 1

    said = capfd.readouterr()
    assert said.err == "lastgood demo: the state is not what an undisturbed run gives: /study: only one of them has 'by'\n"
    assert "exactly" not in said.out
    assert list(temporary.iterdir()) == []


def test_says_in_one_line_what_is_wrong_with_a_folder(
    tmp_path: Path, code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for folder, complaint in [
        (tmp_path / "empty", f"there are no Python files in {tmp_path / 'empty'}"),
        (tmp_path / "missing", f"{tmp_path / 'missing'} does not exist"),
        (code / "one.py", f"{code / 'one.py'} is not a folder"),
    ]:
        assert demo.main([str(folder)]) == 2
        assert capsys.readouterr().err == f"lastgood demo: {complaint}\n"


@pytest.mark.slow
def test_a_folder_in_which_nothing_parses_is_no_failure(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "broken.py").write_text("def (")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    assert demo.main([str(folder)]) == 0

    assert "0 files studied (1 skipped)" in capsys.readouterr().out


def test_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)

    assert demo.main([]) == 1

    assert capsys.readouterr().err == "lastgood demo: rich is not installed here: pip install 'lastgood[daemon]'\n"


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.main(["--help"])

    assert ended.value.code == 0
    assert "example: lastgood demo ~/src/my-project" in capsys.readouterr().out
