"""Checks the built wheel, with the source away.

1. At the floors: the wheel with all its extras, every dependency in the oldest version that it claims to work with, passes a
   good part of the tests. They are copied; nothing of the repository can be imported.
2. Alone: without extras the wheel brings nothing of the daemon, and a client that would have to start one says which extra
   to install.

    python scripts/check_wheel.py [--keep FOLDER] [TEST ...]

Needs a pip (25.1 or newer) for the running Python, and a package index.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lastgood", "lastgood_daemon", "lastgood_proto")
TESTS = ("tests/api", "tests/contract", "tests/connecting", "tests/daemon", "tests/sync", "tests/cli")

_WITHOUT_THE_DAEMON = """
import asyncio, sys
import lastgood

async def main() -> None:
    try:
        await lastgood.connect(data_dir=sys.argv[1], timeout=20)
    except lastgood.DaemonUnavailableError as error:
        sys.exit(str(error))

asyncio.run(main())
"""

_WHERE_FROM = f"import {', '.join(PACKAGES)}; print(*(each.__file__ for each in ({', '.join(PACKAGES)})), sep='\\n')"


class CheckFailedError(Exception):
    """Something about the wheel is not as it should be."""


@dataclass(frozen=True)
class Requirement:
    """A dependency of the wheel.

    Attributes:
        name: of the distribution, normalized.
        floor: the oldest version that will do.
        extra: which extra brings it; ``""`` for what is always there.
    """

    name: str
    floor: str
    extra: str


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(description="Checks the built wheel, with the source away.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work in this new folder, and leave it there")
    parser.add_argument("tests", nargs="*", default=TESTS, metavar="TEST", help=f"default: {' '.join(TESTS)}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lastgood-wheel-") as temporary:
        folder: Path = given.keep.resolve() if given.keep else Path(temporary)
        try:
            check(folder, given.tests)
        except (CheckFailedError, subprocess.CalledProcessError) as error:
            print(f"\ncheck_wheel: {error}", file=sys.stderr)
            return 1
    print("\nthe wheel is good")
    return 0


def check(folder: Path, tests: Sequence[str]) -> None:
    """Build the wheel and check it, in a folder outside the repository."""
    wheel = build(folder / "dist")
    requirements = read_requirements(wheel)
    check_alone(wheel, requirements, folder / "alone")
    check_floors(wheel, requirements, folder / "floors", tests)


def build(folder: Path) -> Path:
    """Build the wheel, and give its path."""
    say("building")
    pip("wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("lastgood-*.whl")
    return wheel


def read_requirements(wheel: Path) -> list[Requirement]:
    """Read what the wheel says that it needs.

    Raises:
        CheckFailedError: something has no floor.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    found = []
    for line in metadata.get_all("Requires-Dist", []):
        if normalized(re.split(r"[\[<>=;! ]", line)[0]) == "lastgood":
            continue  # one extra that includes another
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*>=\s*([^,;\s]+)[^;]*(?:;.*\bextra == '([^']+)')?", line)
        if match is None:
            text = f"{line!r} has no floor"
            raise CheckFailedError(text)
        found.append(Requirement(normalized(match[1]), match[2], match[3] or ""))
    return found


def check_alone(wheel: Path, requirements: Sequence[Requirement], folder: Path) -> None:
    """Without extras: nothing of the daemon, and a client that says what is missing.

    Raises:
        CheckFailedError: it is not so.
    """
    say("without extras")
    python = make_venv(folder)
    pip("--python", python, "install", wheel)
    always = {each.name for each in requirements if not each.extra}
    listed = output(python, "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()), sep='\\n')")
    installed = {normalized(name) for name in listed.split()}
    if too_many := installed & {each.name for each in requirements if each.extra} - always:
        text = f"the wheel alone brings {', '.join(sorted(too_many))}, which only an extra should"
        raise CheckFailedError(text)
    print(f"it brings {', '.join(sorted(installed))}")
    missing: dict[str, list[str | Path]] = {
        "daemon": [python, "-c", _WITHOUT_THE_DAEMON, folder / "data"],
        "cli": [python, "-m", "lastgood", "status"],
    }
    for extra, command in missing.items():
        said = output(*command, status=1).strip()
        print(f"without {extra}: {said}")
        if f"pip install 'lastgood[{extra}]'" not in said:
            text = f"it should tell to install lastgood[{extra}], and says: {said}"
            raise CheckFailedError(text)


def check_floors(wheel: Path, requirements: Sequence[Requirement], folder: Path, tests: Sequence[str]) -> None:
    """With everything at its floor: the tests pass against what is installed.

    Raises:
        CheckFailedError: something else was imported than what is installed.
    """
    say("at the floors")
    python = make_venv(folder / "venv")
    floors = folder / "floors.txt"
    floors.write_text("".join(sorted({f"{each.name}=={each.floor}\n" for each in requirements})))
    extras = ",".join(sorted({each.extra for each in requirements if each.extra}))
    group = f"{ROOT / 'pyproject.toml'}:test"
    pip("--python", python, "install", f"{wheel}[{extras}]", "--group", group, "--constraint", floors)
    pip("--python", python, "list", "--format", "freeze")
    place = folder / "away"
    shutil.copytree(ROOT / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copytree(ROOT / "systemd", place / "systemd")  # which tests look at
    shutil.copy(ROOT / "pyproject.toml", place)  # pytest's configuration
    for file in map(Path, output(python, "-c", _WHERE_FROM, cwd=place).split()):
        if not file.is_relative_to(folder / "venv"):
            text = f"{file} was imported, which is not the wheel's"
            raise CheckFailedError(text)
    run(python, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", "-p", "no:cacheprovider", *tests, cwd=place)


def make_venv(folder: Path) -> Path:
    """Make an empty one, without a pip, and give its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    return folder / "bin" / "python"


def pip(*arguments: str | Path) -> None:
    """Run the pip of this Python."""
    quiet = [] if "list" in arguments else ["--quiet"]
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *quiet, *arguments)


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, cwd=cwd, env=surroundings(), stdin=subprocess.DEVNULL)


def output(*command: str | Path, cwd: Path | None = None, status: int = 0) -> str:
    """Run a command that must end with that status, and give what it says.

    Raises:
        CheckFailedError: it ended otherwise.
    """
    done = subprocess.run(
        command, check=False, cwd=cwd, env=surroundings(), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != status:
        text = f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        raise CheckFailedError(text)
    return done.stderr if status else done.stdout


def surroundings() -> Mapping[str, str]:
    """The environment, without what would let the repository or somebody's daemon in."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LASTGOOD_", "VIRTUAL_ENV"))}


def normalized(name: str) -> str:
    """Write a distribution's name in the one form that compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def say(what: str) -> None:
    """Head what follows."""
    print(f"\n== {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
