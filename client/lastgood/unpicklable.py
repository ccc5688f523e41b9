"""What belongs to one process and one event loop, and cannot be taken elsewhere."""

from typing import NoReturn, SupportsIndex

from lastgood.errors import ClientUnusableError


class Unpicklable:
    """Refuses to be pickled and copied, and says what to do instead."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse.

        Raises:
            ClientUnusableError: always; reason ``CLIENT_NOT_PICKLABLE``.
        """
        text = (
            f"a {type(self).__name__} is bound to its process and cannot be pickled or copied: hand over ids, addresses and "
            "snapshots, which can, and make a client and handles where they are used"
        )
        raise ClientUnusableError(text, reason="CLIENT_NOT_PICKLABLE")
