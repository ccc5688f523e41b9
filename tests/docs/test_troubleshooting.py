"""The page "Troubleshooting" has each error with its remedy."""

import subprocess
import sys

import pytest
from tests.docs.pages import DOCS, ROOT

import lastgood
from lastgood.errors import LastgoodError
from lastgood.remedies import REMEDIES

ERRORS = [
    each for each in map(vars(lastgood).get, lastgood.__all__) if isinstance(each, type) and issubclass(each, LastgoodError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_each_public_error_has_a_remedy(kind: type[LastgoodError]) -> None:
    assert REMEDIES[kind].text
    assert f"\n## {kind.__name__}\n" in (DOCS / "troubleshooting.md").read_text("utf-8")


def test_the_page_is_what_the_table_says() -> None:
    script = ROOT / "scripts" / "generate_troubleshooting.py"
    ended = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_page_is_in_the_navigation() -> None:
    assert "- troubleshooting.md\n" in (ROOT / "mkdocs.yml").read_text("utf-8")


def test_the_tree_of_errors_is_not_markup() -> None:
    """What mkdocs takes for a fence is shown as it stands; ``::`` and double backticks would be shown, too."""
    tree = lastgood.errors.__doc__ or ""
    shown = tree.partition("```text\n")[2].partition("```\n")[0]
    assert "├── DaemonUnavailableError" in shown
    assert "``" not in shown
    assert "::\n" not in tree
    assert all(kind.__name__ in shown for kind in ERRORS), "each class is in the tree"
