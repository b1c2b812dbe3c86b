"""Structured log lines on stderr. Never an e-mail, a phone number or a message body."""

from __future__ import annotations

import logging
import sys

LOGGER_NAME = "zhiyin"


def get_logger() -> logging.Logger:
    """The one logger of the package."""
    return logging.getLogger(LOGGER_NAME)


def configure(level: str = "WARNING") -> None:
    """Send the package's log to stderr at `level` (DEBUG … ERROR). Safe to call again."""
    logger = get_logger()
    logger.setLevel(level)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
