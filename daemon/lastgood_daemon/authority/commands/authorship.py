"""Whether a writer may still write."""

from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.engine.log import Author


def require_present_attempt(layer: Layer, author: Author) -> None:
    """Raise ``FencedError`` where the author belongs to an attempt that a later one has replaced."""
    if author.workflow_id:
        layer.workflow(author.workflow_id).require_attempt(author.attempt)
