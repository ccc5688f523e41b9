"""What lies beneath logs and records."""

from collections.abc import Mapping

from lastgood_daemon.authority.verify.report import Findings
from lastgood_daemon.engine.state import State
from lastgood_daemon.store.protocol import Reading, StoreBrokenError


async def check_storage(reading: Reading, _: Mapping[str, State], findings: Findings, __: str) -> str:
    """Have the storage check itself."""
    try:
        problems = await reading.check()
    except StoreBrokenError as error:
        problems = [str(error)]
    for problem in problems:
        findings.add("the storage", problem)
    return ""
