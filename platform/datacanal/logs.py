"""Logs are events: a stable name, ids as fields, one JSON line each on stderr. Never row values, SQL or secrets."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(part: str, level: int = logging.INFO) -> None:
    """Log from now on as `part` (control, site core, …) to stderr."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(part=part)
