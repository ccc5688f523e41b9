"""The store in one SQLite file.

How to find what: ``connection`` opens the file safely, ``schema`` says what is in it, ``plan`` decides what a commit
writes, ``writing`` and ``reading`` are the statements, ``faults`` tells full from broken, ``store`` puts the pieces on
their threads; ``reader`` is the half that only reads, ``backup`` copies the file while commits go on.
"""

from lastgood_daemon.store.sqlite.errors import (
    DamagedFileError,
    ForeignFileError,
    FutureFormatError,
    LostWritesError,
    OldFormatError,
    PragmaError,
    StoreOpenError,
    UnsafeSqliteError,
)
from lastgood_daemon.store.sqlite.reader import loss_of, resting
from lastgood_daemon.store.sqlite.store import SqliteStore

__all__ = [
    "DamagedFileError",
    "ForeignFileError",
    "FutureFormatError",
    "LostWritesError",
    "OldFormatError",
    "PragmaError",
    "SqliteStore",
    "StoreOpenError",
    "UnsafeSqliteError",
    "loss_of",
    "resting",
]
