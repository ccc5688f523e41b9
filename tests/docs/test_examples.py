"""The scripts in examples/ run, again too, and do what they say."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

SAYS = {
    "notebook_style": ["worse: [0.71, 0.74, 0.08]", "as before: True"],
    "resume_after_a_crash": [
        "the first process ended with SIGKILL",
        "it has left: ['It is known that a kill asks nobody.']",
        "the report: ['It is known that a kill asks nobody.', 'It is known that what is on disk stays.']",
    ],
    "three_agents_one_flaky_tool": [
        "  called the agency, which has booked Rome: room 1",
        "  the agency does not answer about Naples",
        "  the booker has ended with status 1; a fresh one resumes",
        "  in doubt, asked the agency what is booked: lastgood.NOT_DONE",
        "  called the agency, which has booked Naples: room 2",
        "  called the agency, which has booked Palermo: room 3",
        "  the booker has ended with status -9; a fresh one resumes",
        "  in doubt, asked the agency what is booked: Palermo: room 3",
        "the agency has booked: ['Rome: room 1', 'Naples: room 2', 'Palermo: room 3']",
        "the itinerary: Rome: room 1, Naples: room 2, Palermo: room 3",
    ],
    "two_agents_and_a_reviewer": [
        "  article.draft: 'lorem ipsum dolor' -> 'Going back is easy, if somebody kept the past.'",
        "the article: {'title': 'On rollback', 'draft': 'Going back is easy, if somebody kept the past.'}",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_it_runs(example: Path, place: Path) -> None:
    for _ in range(2):
        printed = run(example, place)
        assert [line for line in printed if line in SAYS[example.stem]] == SAYS[example.stem], printed


def test_each_says_what_it_shows() -> None:
    assert set(SAYS) == {example.stem for example in EXAMPLES}
    for example in EXAMPLES:
        assert f"python examples/{example.name}" in example.read_text("utf-8")


def run(example: Path, place: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        capture_output=True,
        check=False,
        cwd=place,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()
