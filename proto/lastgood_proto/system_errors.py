"""What the system refuses to do with a file, in words: which file, what is wrong with it, and what to do."""

import errno
import os

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""A disk, a quota, or the largest size of a file (``ulimit -f``) is used up."""

_WORDS = {
    errno.ENOSPC: "{}: there is no room left on its disk. Free some space there, and start again",
    errno.EDQUOT: "{}: the quota of its disk is used up. Free some space there, and start again",
    errno.EFBIG: "{} has reached the largest size of a file. Raise that (ulimit -f), and start again",
    errno.EACCES: "{} may not be used by user {user}. Run this as its owner, or name another data folder",
    errno.EPERM: "{} may not be used by user {user}. Run this as its owner, or name another data folder",
    errno.EROFS: "{} is on a read-only file system. Name a data folder elsewhere",
    errno.EISDIR: "{} is a folder, where a file belongs. Move it away",
    errno.ENOTDIR: "{} lies below what is not a folder. Name another data folder",
    errno.ENOENT: "{} is not there. Make it, or name another data folder",
    errno.EMFILE: "{} cannot be opened: too many files are open. Allow more (ulimit -n), and start again",
    errno.ENFILE: "{} cannot be opened: too many files are open on this machine. End something, and start again",
    errno.EIO: "{}: its disk fails. See what is wrong with it, and start again",
}
_OTHERWISE = "{} cannot be used: {why}. Mend that, or name another data folder"


def in_words(error: OSError, place: str | os.PathLike[str]) -> str:
    """Return one line about an error of the system.

    Args:
        error: what was raised.
        place: where it was, for an error that does not name a file.
    """
    where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else os.fspath(place)
    why = error.strerror or str(error)
    return _WORDS.get(error.errno or 0, _OTHERWISE).format(where, user=os.geteuid(), why=why[:1].lower() + why[1:])
