"""Smaller on disk: large entries and images are compressed, where that pays.

What is stored says itself whether it is compressed, by the four bytes that every zstd frame begins with: no entry and no
image begins with them. Checksums are over what was packed, so a damaged frame that still unpacks does not go unnoticed.
"""

import threading

import zstandard

from lastgood_daemon.store.protocol import CorruptRecordError

SMALLEST = 512
"""Bytes below which compressing is not tried: it saves less than a page, and costs as much as the row itself."""
_LARGEST = 256 * 1024 * 1024
"""Bytes that are unpacked at most: more is no frame of ours, but a damaged header."""
_MAGIC = zstandard.FRAME_HEADER


class _Codecs(threading.local):
    """One pair a thread: neither may be used by two at a time."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=3)
        self.decompressor = zstandard.ZstdDecompressor()


_codecs = _Codecs()


def packed(data: bytes) -> bytes:
    """Give the data as it is to be stored."""
    if len(data) < SMALLEST:
        return data
    smaller = _codecs.compressor.compress(data)
    return smaller if len(smaller) < len(data) * 7 // 8 else data


def unpacked(stored: bytes) -> bytes:
    """Give the data that was stored.

    Raises:
        CorruptRecordError: it is damaged.
    """
    if not stored.startswith(_MAGIC):
        return stored
    try:
        size = zstandard.frame_content_size(stored)
        if not 0 <= size <= _LARGEST:
            message = f"says that it unpacks to {size} bytes"
            raise CorruptRecordError(message)
        return _codecs.decompressor.decompress(stored)
    except zstandard.ZstdError as error:
        message = f"cannot be unpacked: {error}"
        raise CorruptRecordError(message) from error
