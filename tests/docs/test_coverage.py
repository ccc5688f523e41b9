"""Everything public is in the documentation; what is missing is named."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from tests.docs.pages import DOCS, PAGES

import lastgood
import lastgood.sync
from lastgood.cli.app import make_app
from lastgood.cli.options import Given
from lastgood_daemon.process.config import Config

REFERENCE = DOCS / "reference"
GUIDE = "\n".join(page.read_text("utf-8") for page in PAGES if page.is_relative_to(DOCS) and page.parent != REFERENCE)
COMMON = {f"--{name.replace('_', '-')}" for name in inspect.signature(Given).parameters}
HANDLES = [
    lastgood.Client,
    lastgood.SharedState,
    lastgood.CheckpointManager,
    lastgood.ResumableWorkflow,
    lastgood.Transaction,
]


def commands_of(command: Any, *names: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer has no public name for it
    """Each command with its full name, those of groups included."""
    for name, each in command.commands.items():
        if hasattr(each, "commands"):
            yield from commands_of(each, *names, name)
        else:
            yield " ".join((*names, name)), each


COMMANDS = dict(commands_of(typer.main.get_command(make_app())))


@pytest.mark.parametrize("name", lastgood.__all__)
def test_each_name_is_in_the_reference(name: str) -> None:
    wanted = "lastgood.__version__" if name == "__version__" else f"::: lastgood.{name}\n"
    assert any(wanted in page.read_text("utf-8") for page in REFERENCE.glob("*.md")), f"docs/reference lacks {wanted}"


def test_the_reference_has_nothing_else() -> None:
    found = {
        name
        for page in REFERENCE.glob("*.md")
        for name in re.findall(r"^::: lastgood\.(\w+)$", page.read_text("utf-8"), re.MULTILINE)
    }
    assert found <= {*lastgood.__all__, "errors", "testing"}


def public_methods() -> Iterator[tuple[str, str]]:
    for kind in HANDLES:
        for name, member in inspect.getmembers(kind):
            if not name.startswith("_") and (callable(member) or isinstance(member, property)):
                yield kind.__name__, name


@pytest.mark.parametrize(("kind", "name"), list(public_methods()))
def test_each_method_is_in_the_guide(kind: str, name: str) -> None:
    assert re.search(rf"(?:\.|`|await ){name}\b", GUIDE), f"no page of the guide mentions {kind}.{name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_section(name: str) -> None:
    options = {each for parameter in COMMANDS[name].params for each in (*parameter.opts, *parameter.secondary_opts)}
    if name == "serve":
        options = {f"--{field.replace('_', '-')}" for field in Config.__struct_fields__}
    missing = {each for each in options - COMMON - {"--help"} if each.startswith("-") and f"`{each}" not in section(name)}
    assert not missing, f"docs/reference/command.md: `lastgood {name}` lacks {sorted(missing)}"
    assert f"$ lastgood {name}" in section(name) or f"| lastgood {name}" in section(name), "an example"


def test_no_other_command_has_one() -> None:
    assert set(re.findall(r"^### `lastgood ([\w -]+)`$", command_page(), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("option", sorted(COMMON))
def test_the_common_options_are_there(option: str) -> None:
    assert f"`{option}" in command_page().partition("## Common options")[2].partition("\n## ")[0]


@pytest.mark.parametrize("setting", Config.__struct_fields__)
def test_each_setting_of_the_daemon_is_in_the_guide(setting: str) -> None:
    if setting != "autostarted":  # is no setting for people
        assert f"`LASTGOOD_{setting.upper()}`" in (DOCS / "guide" / "daemon.md").read_text("utf-8")


def command_page() -> str:
    return (REFERENCE / "command.md").read_text("utf-8")


def section(name: str) -> str:
    heading = f"### `lastgood {name}`\n"
    assert heading in command_page(), f"docs/reference/command.md lacks a section {heading}"
    return re.split(r"^##+ ", command_page().partition(heading)[2], maxsplit=1, flags=re.MULTILINE)[0]
