"""How one part of the benchmarks is run by itself: ``python benchmarks/flat.py``."""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

from row import Row, show

HERE = Path(__file__).parent


class Measure(Protocol):
    """Measures in a folder that is its own, with little work where it is to be quick."""

    def __call__(self, folder: Path, *, quick: bool = False) -> Awaitable[list[Row]]:
        """Give lines of the table."""
        ...


def options(description: str) -> argparse.Namespace:
    """Read the options that all of them have."""
    return option_parser(description).parse_args()


def option_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of the options that all of them have."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--dir", type=Path, default=HERE, help="a folder on a real disk (default: beside this file)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and changes, to see that it works")
    return parser


async def in_folder(measure: Measure, directory: Path, *, quick: bool) -> list[Row]:
    """Measure in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="bench-") as folder:
        return await measure(Path(folder), quick=quick)


def alone(measure: Measure, description: str) -> None:
    """Run one part, and print its lines."""
    chosen = options(description)
    show(asyncio.run(in_folder(measure, chosen.dir, quick=chosen.quick)))
