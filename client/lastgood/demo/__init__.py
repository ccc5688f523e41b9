"""``lastgood demo``: agents study Python code, one of them goes wrong, and all is rolled back to the last good checkpoint.

To see how lastgood is used, read in this order:

    agent.py        one agent, a process of its own: claims the workflow, does a step of it
    researcher.py   step 0: facts about every file, into the shared state
    analyst.py      step 1: rankings of those facts, announced once to the outside world (and how to go wrong with it)
    writer.py       step 2: the report
    play.py         who starts them, kills one, and starts a fresh one

The rest is around that: what is studied (facts.py), the outside world (outside.py), the private daemon (private.py), and
what is shown (show.py, timeline.py, report.py).
"""

import importlib.util
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the demo, and give its exit status: 0, 1 (it failed) or 2 (usage)."""
    if importlib.util.find_spec("rich") is None:
        sys.stderr.write("lastgood demo: rich is not installed here: pip install 'lastgood[daemon]'\n")
        return 1
    from lastgood.demo.command import run  # noqa: PLC0415  # it needs rich, which a client alone does not have

    return run(arguments)
