"""A bit of a closed store flips. Verification finds it, or it does no harm: the store says all that it has said before."""

import asyncio
import contextlib
import io
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.chaos import sizes
from tests.chaos.rich import Dump, dump, fill

from lastgood_daemon.process.verify import main as verify_offline
from lastgood_daemon.store.protocol import Record, RecordKey
from lastgood_daemon.store.sqlite import reading

pytestmark = pytest.mark.slow

FLIPS = sizes.of(150, 1000)
PAGE = 4096


class Rich(NamedTuple):
    """The bytes of a file, the numbers of those of its pages that are in use, and what it says."""

    content: bytes
    used: list[int]
    said: Dump


class Flip(NamedTuple):
    """A bit of the file."""

    offset: int
    bit: int

    def __str__(self) -> str:
        return f"bit {self.bit} of byte {self.offset:,}: page {self.offset // PAGE + 1}, byte {self.offset % PAGE}"

    def apply(self, content: bytes) -> bytes:
        flipped = bytearray(content)
        flipped[self.offset] ^= 1 << self.bit
        return bytes(flipped)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Rich:
    folder = tmp_path_factory.mktemp("rich")
    with pytest.MonkeyPatch.context() as patched:
        asyncio.run(fill(folder, patched))
    file = folder / "lastgood.db"
    content = file.read_bytes()
    assert not file.with_name("lastgood.db-wal").exists()
    assert verdict(folder) == (0, [])
    said = asyncio.run(dump(folder))
    shutil.rmtree(folder)
    return Rich(content, _used(content), said)


def _used(content: bytes) -> list[int]:
    """Follow the list of free pages: its trunks are in use, their leaves are not."""
    free: set[int] = set()
    trunk = int.from_bytes(content[32:36])
    while trunk:
        page = content[(trunk - 1) * PAGE : trunk * PAGE]
        free.update(int.from_bytes(page[8 + 4 * n : 12 + 4 * n]) for n in range(int.from_bytes(page[4:8])))
        trunk = int.from_bytes(page[:4])
    assert free, "some pages are to be free"
    return [number for number in range(1, len(content) // PAGE + 1) if number not in free]


def flips(rich: Rich, seed: int, count: int) -> Iterator[Flip]:
    """Every other one in a page that is in use, and some of those in what SQLite says about the file."""
    rng = random.Random(seed)
    for number in range(count):
        page = rng.choice(rich.used) - 1 if number % 2 else rng.randrange(len(rich.content) // PAGE)
        if number % 20 == 0:
            yield Flip(rng.randrange(100), rng.randrange(8))
        else:
            yield Flip(page * PAGE + rng.randrange(PAGE), rng.randrange(8))


def verdict(folder: Path) -> tuple[int, list[str]]:
    """Give what ``lastgood verify`` says of a folder without a daemon."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = verify_offline(["--data-dir", str(folder), "--json"])
    if status == 2:
        return status, [err.getvalue()]
    return status, [f"{each['where']}: {each['what']}" for each in json.loads(out.getvalue())["problems"]]


def by_what(problem: str) -> str:
    """Say in a word by what a problem was found."""
    words = {
        "index": "the index of its paths",
        "image": "the image of",
        "head": "head",
        "chain": "revision ",
        "record": "does not match its checksum",
    }
    if problem.startswith("the storage"):
        return "storage"
    return next((word for word, part in words.items() if part in problem), "other")


def outcome(rich: Rich, flip: Flip, folder: Path, breaking: Callable[[], contextlib.AbstractContextManager[object]]) -> str:
    """Flip a bit, and say what has become of it; ``harm: …`` where verification has let it through."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    (folder / "lastgood.db").write_bytes(flip.apply(rich.content))
    try:
        with breaking():
            status, problems = verdict(folder)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"harm: verification fails: {error!r}"
    if status == 2:
        return "refused"
    if status == 1:
        assert problems
        return "+".join(sorted({by_what(problem) for problem in problems}))
    try:
        said = asyncio.run(dump(folder))
    except Exception as error:  # noqa: BLE001 - the same
        return f"harm: verification finds nothing, and a daemon fails: {error!r}"
    return "harmless" if said == rich.said else f"harm: it says something else about {_differing(said, rich.said)}"


def _differing(said: Dump, before: Dump) -> list[str]:
    return sorted(name for name in said.keys() | before.keys() if said.get(name) != before.get(name))


def test_a_flipped_bit_is_found_or_does_no_harm(rich: Rich, tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    harm: list[str] = []
    for flip in flips(rich, 20261123, FLIPS):
        became = outcome(rich, flip, tmp_path / "data", contextlib.nullcontext)
        found[became.partition(":")[0]] += 1
        if became.startswith("harm:"):
            harm.append(f"{flip}: {became}")
    print(f"{FLIPS:,} bits flipped, {len(rich.content):,} bytes: {dict(found.most_common())}")  # noqa: T201 - shown by -rP
    assert not harm, "\n".join(harm)


@contextlib.contextmanager
def without_checksums_of_records() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "_checked", lambda row: Record(RecordKey(*row[:3]), row[5], row[3]))
        yield


@pytest.mark.skipif(not sizes.LONG, reason="the long form")
def test_without_checksums_harm_gets_through(rich: Rich, tmp_path: Path) -> None:
    became = (outcome(rich, flip, tmp_path / "data", without_checksums_of_records) for flip in flips(rich, 7, FLIPS))
    assert any(each.startswith(("harm: verification finds nothing", "harm: it says")) for each in became)
