"""Every example of the README and of the pages runs, and shows what it prints."""

from pathlib import Path
from typing import Any

import pytest
from tests.docs import running
from tests.docs.pages import PAGES, ROOT, Example, examples

import lastgood

README = ROOT / "README.md"


def to_run(page: Path) -> list[Example]:
    # What the README shows of make is these tests themselves, among others.
    return [each for each in examples(page) if not each.source.startswith("$ make ")]


SLOW = {"docs/guide/testing.md", "docs/reference/command.md"}
"""Their examples start very many processes."""


def page_to_run(page: Path) -> Any:  # noqa: ANN401 - pytest does not name its type
    name = str(page.relative_to(ROOT))
    return pytest.param(page, id=name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("page", [page_to_run(page) for page in PAGES if to_run(page)])
@pytest.mark.usefixtures("place")
async def test_the_examples_run(page: Path) -> None:
    async with lastgood.connect(timeout=20.0) as client:
        names = {"__name__": "__main__", "client": client}
        for example in to_run(page):
            await running.run(example, names)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("print(1)  # 1\n", True),
        ("print(1)  # 2\n", False),
        ("for n in (1, 2):\n    print('n', n)\n# n 1\n# n 2\n", True),
        ("for n in (1, 2):\n    print('n', n)\n# n 2\n# n 1\n", False),
        ("print('a b c')  # a … c\n", True),
        ("print('a b d')  # a … c\n", False),
    ],
)
async def test_what_is_shown_is_compared(source: str, shown: bool) -> None:
    example = Example(README, 1, "python", source)
    if shown:
        await running.run(example, {})
    else:
        with pytest.raises(AssertionError, match=r"README\.md:1 shows"):
            await running.run(example, {})


async def test_commands_that_fail_are_noticed() -> None:
    await running.run(Example(README, 1, "console", "$ echo a b\na …\n"), {})
    for source in ("$ false\n", "$ echo a\nb\n", "$ true\nlastgood get: no\n"):
        with pytest.raises(AssertionError):
            await running.run(Example(README, 1, "console", source), {})
