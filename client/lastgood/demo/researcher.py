"""Step 0: collects facts about every file into the shared state."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lastgood
from lastgood.demo.facts import NotStudiedError, study

BATCH = 25

Progress = Callable[[int], None]
"""To be told how many files are done."""


async def collect(state: lastgood.SharedState, progress: Progress) -> str:
    """Study the files that ``study.files`` lists, into ``facts``; those that cannot be go to ``skipped``, with the reason.

    A batch is one ``update``: all of it is written or none, as one revision.
    """
    folder = Path(await state.get("study.folder"))
    names: list[str] = await state.get("study.files")
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        # In a thread, so that the claim of the workflow is kept alive meanwhile.
        await state.update(await asyncio.to_thread(_facts, folder, batch))
        progress(start + len(batch))
    return f"has collected facts about {len(await state.keys('facts'))} files"


def _facts(folder: Path, names: list[str]) -> dict[str, Any]:
    return dict(_fact(folder, name) for name in names)


def _fact(folder: Path, name: str) -> tuple[str, Any]:
    """What to set where. File names have dots, so a path with one in it is made by ``join``."""
    try:
        return lastgood.join("facts", name), study(folder / name)
    except NotStudiedError as error:
        return lastgood.join("skipped", name), str(error)
