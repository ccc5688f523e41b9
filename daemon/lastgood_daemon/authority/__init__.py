"""The authoritative state, and the one place where it changes.

``world`` is everything durable that is in memory; ``layer`` is what a batch is about to make of it. A command is a pure
function of a layer (``commands``); the ``committer`` evaluates whatever waits, has the store commit it, and only then makes
it part of the world and answers. ``loader`` brings into memory what a command or a question finds missing. ``questions``
are the reads. This package knows the engine and the store's protocol, and neither gRPC nor SQLite.
"""
