"""The keepalive of a claim is the same as the async client's: it runs on the thread in the background."""

from lastgood.transport.keepalive import Keepalive

__all__ = ["Keepalive"]
