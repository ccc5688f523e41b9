"""What is collected about a Python file, and which files are studied."""

import os
from pathlib import Path

import pytest

from lastgood.demo import facts

SOURCE = '''\
"""A module."""
import os.path, sys
from json.decoder import JSONDecoder
from . import sibling

class Public:
    """Documented."""

    def method(self):
        async def inner():
            pass
        return inner

if sys.argv:
    try:
        import ast
    except ImportError:
        def _private(): ...
'''


def test_facts_about_a_file(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)

    assert facts.study(path) == {
        "lines": 18,
        "functions": 3,
        "classes": 1,
        "imports": ["ast", "json", "os", "sys"],
        "documentable": 4,
        "documented": 2,
        "longest": {"function": "Public.method", "lines": 4},
    }


@pytest.mark.parametrize("content", [b"def (", b"x = '\0'", b"\xff = 1", b"(" * 5000, b"#" * (facts.MAX_BYTES + 1)])
def test_what_cannot_be_studied_is_told_apart(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "module.py"
    path.write_bytes(content)

    with pytest.raises(facts.NotStudiedError):
        facts.study(path)


def test_a_file_that_is_gone_cannot_be_studied(tmp_path: Path) -> None:
    with pytest.raises(facts.NotStudiedError, match="cannot be read: No such file"):
        facts.study(tmp_path / "gone.py")


def test_files_are_found_in_order_without_what_was_installed(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "pack/c.py", "tests/d.py", "site-packages/e.py", ".venv/f.py", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / os.fsdecode(b"\xff.py")).touch()  # a name that is no text
    os.mkfifo(tmp_path / "pipe.py")  # to read it would wait for ever

    assert facts.find_files(tmp_path) == ["a.py", "b.py", "pack/c.py", "tests/d.py"]


def test_no_more_files_are_found_than_can_be_studied_soon(tmp_path: Path) -> None:
    for number in range(facts.MAX_FILES + 1):
        (tmp_path / f"m{number}.py").touch()

    assert len(facts.find_files(tmp_path)) == facts.MAX_FILES


def test_the_standard_library_is_studied_without_its_tests() -> None:
    found = facts.find_files(facts.standard_library())

    assert "json/decoder.py" in found
    assert not any(name.startswith(("test/", "site-packages/", "idlelib/")) for name in found)
