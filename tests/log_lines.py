"""The lines of our log, as CloudWatch gets them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Any

from perminute.observability import logger, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """Collects them, from level INFO on; they are in the list afterwards."""
    stream, lines = StringIO(), list[dict[str, Any]]()
    handler: Any = logger.registered_handler
    before, level = handler.setStream(stream), logger.log_level
    logger.setLevel("INFO")
    try:
        yield lines
    finally:
        handler.setStream(before)
        logger.setLevel(level)
        metrics.clear_metrics()
        lines += map(json.loads, stream.getvalue().splitlines())
