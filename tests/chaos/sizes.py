"""How much is broken: a short form in every run, and with ``LASTGOOD_CHAOS=long`` (``make chaos``) the long one."""

import os

LONG = os.environ.get("LASTGOOD_CHAOS") == "long"


def of(short: int, long: int) -> int:
    """Give the size of this run."""
    return long if LONG else short
