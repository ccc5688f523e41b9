"""Earlier contents are kept for a while, and not for long where they are large."""

from pathlib import Path

from tests.authority.at_work import running

from lastgood_daemon.authority.past import FEW, MOST, MOST_BYTES, PastTrees
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.tree import EMPTY_TREE


def test_large_ones_make_room_for_others() -> None:
    past = PastTrees()
    for number in range(FEW + 3):
        past.put(Point("s", 1, number), EMPTY_TREE, MOST_BYTES)
    assert [number for number in range(FEW + 3) if past.get(Point("s", 1, number))] == [3, 4, 5, 6]


def test_there_are_not_many() -> None:
    past = PastTrees()
    for number in range(MOST + 3):
        past.put(Point("s", 1, number), EMPTY_TREE, 1)
    assert [past.get(Point("s", 1, number)) for number in (2, 3)] == [None, EMPTY_TREE]


async def test_what_is_not_asked_for_again_goes(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        world, point = daemon.authority._world, Point("s", 1, 1)  # noqa: SLF001 - what it holds is the point
        world.keep(point, EMPTY_TREE, MOST_BYTES)
        assert not daemon.authority.drop_idle()
        assert world.trees.get(point) is EMPTY_TREE
        assert not daemon.authority.drop_idle()
        assert daemon.authority.drop_idle()
        assert world.trees.get(point) is None
