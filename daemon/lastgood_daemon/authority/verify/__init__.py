"""Verification: reads all that is stored, and says what of it is not what was written.

``report`` is what comes of it. Each kind of thing has a function that checks a page of it: ``storage``, ``logs``,
``records``; ``walk`` goes from page to page, and from kind to kind. All of them read through ``store.protocol.Reading``, so
that it is the same for a daemon at work and for a folder that nobody has.

While others write, two reads may see different moments. What contradicts itself is therefore reported only where it cannot
come of that: each function says why.
"""

from lastgood_daemon.authority.verify.report import Findings, Problem
from lastgood_daemon.authority.verify.walk import verify

__all__ = ["Findings", "Problem", "verify"]
