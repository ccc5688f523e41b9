"""The log: for people on a terminal, JSON lines otherwise. Goes to standard error."""

import logging
import sys

import structlog

from lastgood_daemon.process.terminal import is_terminal, log_line

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure() -> None:
    """Send what structlog and the standard library's logging are given the same way."""
    render: structlog.typing.Processor = log_line if is_terminal() else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            render,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_is_worth_a_line)
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leave out what grpc says of each client that goes away while it is being answered: that is no fault."""
    return not (record.name.startswith("grpc.") and "ExecuteBatchError" in record.getMessage())
