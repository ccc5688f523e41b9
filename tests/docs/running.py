"""Running the examples of a page in order, with one set of names, against one daemon.

Python that awaits runs in the test's event loop; other Python runs in a thread without one, as a script would, so that
``asyncio.run`` and ``lastgood.sync`` work. What ``print`` prints is compared with the comment on its line, or on the lines
below it; the output of ``console`` with what the page shows. What is shown must be printed, in this order, with anything in
between; ``…`` stands for anything too, and the widths of gaps do not count.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tests.cli.running import Command
from tests.docs.pages import Example

SECONDS = 60.0
_SIMPLE = re.compile(r"lastgood (?!serve\b|demo\b)[^|<>&;$`*?~#\\]*$")
"""A command that needs no shell, and ends."""
_PRINT = re.compile(r"^ *print\(.*?\)(?:  # (?P<shown>.*))?$")


async def run(example: Example, names: dict[str, Any]) -> None:
    """Run one example."""
    if example.kind == "console":
        await asyncio.to_thread(_run_console, example)
    elif example.kind == "pytest":
        await asyncio.to_thread(_run_pytest, example)
    else:
        await _run_python(example, names)


async def _run_python(example: Example, names: dict[str, Any]) -> None:
    source = "\n" * (example.line - 1) + example.source  # so that tracebacks name the line of the page
    code: CodeType = compile(source, str(example.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    body: Callable[[], Awaitable[None] | None] = FunctionType(code, names)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if code.co_flags & inspect.CO_COROUTINE:
            awaitable = body()
            assert awaitable is not None
            await awaitable
        else:
            await asyncio.to_thread(body)
    _compare(printed.getvalue(), _shown_by_comments(example.source), example)


def _run_console(example: Example) -> None:
    for command, shown in _commands(example.source):
        status, printed = _run_here(command) if _SIMPLE.match(command) else _run_in_a_shell(command)
        fails = bool(shown) and re.match(r"lastgood \w+: ", shown[0]) is not None  # the page shows a complaint
        assert (status != 0) == fails, f"{example.where}: $ {command}\n{printed}"
        _compare(printed, shown, example)


def _run_in_a_shell(command: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        check=False,
        env=_surroundings(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout


def _run_here(command: str) -> tuple[int, str]:
    """Run ``lastgood`` in this process, which saves the time to load it."""
    done = Command(Path(os.environ["LASTGOOD_DATA_DIR"])).here(*shlex.split(command)[1:])
    return done.status, done.out + done.err


def _run_pytest(example: Example) -> None:
    path = Path("test_example.py")
    path.write_text(example.source)
    command = [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, env=_surroundings(), text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{example.where}\n{done.stdout}{done.stderr}"


def _commands(source: str) -> list[tuple[str, list[str]]]:
    """Each command, and the lines shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in source.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def _shown_by_comments(source: str) -> list[str]:
    shown: list[str] = []
    after_print = False
    for line in source.splitlines():
        match = _PRINT.match(line)
        if match is not None and match["shown"]:
            shown.append(match["shown"])
        elif match is None and after_print and line.lstrip().startswith("# "):
            shown.append(line.lstrip()[2:])
            continue
        after_print = match is not None
    return shown


def _compare(printed: str, shown: list[str], example: Example) -> None:
    """See that the lines shown are printed, in this order."""
    if not shown:
        return
    parts = ["".join(".*" if each == "…" else _loosely(each) for each in re.split("(…)", line)) for line in shown]
    pattern = r"(?:.*\n)*?".join(rf"{part.strip()}\s*?\n" for part in parts)
    text = "".join(f"{line.strip()}\n" for line in printed.splitlines())
    assert re.match(rf"(?:.*\n)*?{pattern}", text), (
        f"{example.where} shows\n{chr(10).join(shown)}\nand it printed\n{printed}"
    )


def _loosely(text: str) -> str:
    return r"\s*".join(map(re.escape, re.split(r"\s+", text)))


def _surroundings() -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": programs, "COLUMNS": "140", "NO_COLOR": "1"}
