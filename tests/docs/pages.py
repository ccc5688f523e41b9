"""The Markdown of the README and of docs/, and the examples in it.

Examples are fenced blocks of ``python`` and ``console``. A comment right before one says what it needs, and whoever edits
the page sees it there:

=============================  ==================================================================================
``<!-- setup … -->``           Python that runs before what follows, which makes names that a fragment needs
``<!-- not run: reason -->``   the next block is not run
``<!-- pytest -->``            the next block is a test file, which must pass
=============================  ==================================================================================
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if page != DOCS / "design.md")]

_PART = re.compile(
    r"(?:^<!-- (?P<word>setup|not run: |pytest)(?P<text>.*?) ?-->\s*?\n)"
    r"|(?:^```(?P<language>\w*)\n(?P<source>.*?)^```$)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    """A block to run.

    Attributes:
        page: where.
        line: of the page, at which ``source`` begins.
        kind: ``python``, ``console``, ``setup`` or ``pytest``.
        source: what is between the fences.
    """

    page: Path
    line: int
    kind: str
    source: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def examples(page: Path) -> Iterator[Example]:
    """Everything to run of a page, in order."""
    text = page.read_text("utf-8")
    said = ""  # by the comment before
    for part in _PART.finditer(text):
        if part["word"] is None and part["language"] in {"python", "console"}:
            if not said.startswith("not run"):
                line = text.count("\n", 0, part.start("source")) + 1
                yield Example(page, line, said or part["language"], part["source"])
        elif part["word"] == "setup":
            yield Example(page, text.count("\n", 0, part.start("text")) + 1, "setup", part["text"])
        said = (part["word"] or "").strip() if part["word"] != "setup" else ""
