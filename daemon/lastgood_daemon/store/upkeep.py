"""What the store keeps besides the truth: what makes reading it fast, and what lets go of it.

All of it is written in the background, in small transactions of its own, so that commits go on in between. Losing any of it
costs time and nothing else, with one exception: the image at the floor of a log is the truth for what was before.

* **images**: whole states, from which a log is read on;
* **places**: in which revisions something was written at a path, by a hash of the path. A hash may name a revision too
  many, never one too few;
* **floors**: the revision below which a log is gone. An image is there.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from lastgood_daemon.store.log import LogId, LogRow


class Image(NamedTuple):
    """A state at a revision, as bytes."""

    revision: int
    data: bytes


class ImageMark(NamedTuple):
    """That there is an image, and how many bytes it takes on disk."""

    revision: int
    stored_bytes: int


class Place(NamedTuple):
    """Something was written at a path in a revision; ``exact``: there, and not only below it."""

    place: int
    exact: bool
    revision: int


class UpkeepReading(Protocol):
    """What can be read of it."""

    async def image(self, log: LogId, at_most: int) -> Image | None:
        """Give the newest image at or below a revision.

        Raises:
            CorruptRecordError: it does not match its checksum.
        """
        ...

    async def list_images(self, log: LogId) -> list[ImageMark]:
        """Say which images there are, oldest first."""
        ...

    async def indexed(self, log: LogId) -> int:
        """Give the revision up to which the places of a log are indexed."""
        ...

    async def find_places(
        self, log: LogId, places: Sequence[tuple[int, bool]], after: int, before: int, limit: int, *, newest_first: bool
    ) -> list[int]:
        """Give indexed revisions above ``after`` and below ``before`` that are about any of these places.

        With each place comes whether only exact ones are meant.
        """
        ...

    async def list_places(self, log: LogId, after: Place | None, limit: int) -> tuple[int, list[Place]]:
        """Give the number of the index of a log, 0 where there is none, and some of what is in it, in its order.

        An index that was begun anew has another number.
        """
        ...


class Upkeep(Protocol):
    """What is written of it. Where there is no room, ``StoreFullError``: nothing is half-done, and later calls may work."""

    async def put_image(self, log: LogId, image: Image) -> None:
        """Keep an image, in pieces between which others commit; unless there is one of that revision or the log is gone."""
        ...

    async def squash(self, log: LogId, after: int, row: LogRow) -> None:
        """Replace the rows above ``after``, up to that of a revision, by one for it, and drop the images between."""
        ...

    async def raise_floor(self, log: LogId, revision: int) -> None:
        """Let go of all rows up to a revision, of which there is an image, and of earlier images. ``sweep`` removes them."""
        ...

    async def sweep(self) -> bool:
        """Remove some of what has been let go of; whether there may be more. ``give_back`` then shrinks the file."""
        ...

    async def add_places(self, log: LogId, after: int, until: int, places: Sequence[Place]) -> None:
        """Index the places of the revisions after one, up to another. Where others are indexed by now, nothing happens."""
        ...

    async def forget_index(self, log: LogId) -> None:
        """Have a log without an index. ``sweep`` removes what was in it."""
        ...
