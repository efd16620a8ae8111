"""The logger and the metrics that all functions share.

No line contains a phone number, a secret or the environment: what is logged are counts, identifiers
and reasons that never repeat a number that was sent.
"""

from __future__ import annotations

import gc
import json
import sys
import warnings
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from perminute.application.correlation import caused_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.domain.errors import Unavailable
    from perminute.ports.messaging import Rejection

    R = TypeVar("R")
    Handler = Callable[[Any, LambdaContext], R]

NAMESPACE = "perminute"
"""Where the alarms of template.yaml look for the counts."""

# What names take of a line: a third of what CloudWatch Logs takes as one, in UTF-8.
MAX_CHARACTERS_OF_NAMES = 30_000


def _serialized(line: dict[str, object]) -> str:
    """Write a line as JSON in which all that cannot be printed is escaped.

    JSON itself lets pass what turns the reading direction, and CSI (U+009B), by which a terminal
    takes what follows for a command: operators read the log there.
    """
    text = json.dumps(line, default=str, separators=(",", ":"), ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


# Lambda takes a line whose timestamp is not RFC 3339 for one of level INFO: were it to keep errors
# alone (ApplicationLogLevel), it would drop them.
logger = Logger(stream=sys.stderr, use_rfc3339=True, utc=True, json_serializer=_serialized)
metrics = Metrics(namespace=NAMESPACE)
# A run that finds nothing to do has nothing to count, and that is no fault: see `count`.
warnings.filterwarnings("ignore", message="No application metrics to publish")


def lambda_handler(handler: Handler[R]) -> Handler[R]:
    """Add the request id to a handler's log lines, and write its metrics when it returns.

    A function has started once it has its handler. Until then garbage is not collected: a sixth of
    the start would be searches for it among modules, which stay until the instance ends.
    """
    logged: Handler[R] = logger.inject_lambda_context(metrics.log_metrics(handler))
    if not gc.isenabled():
        # No later collection needs to look at what exists by now.
        gc.freeze()
        gc.enable()
    return logged


def named_run(handler: Handler[R]) -> Handler[R]:
    """Use the id of a run as correlation id of what its handler does without an event."""

    @wraps(handler)
    def run(event: Any, context: LambdaContext) -> R:  # noqa: ANN401 - whatever the handler takes
        with caused_by(context.aws_request_id):
            return handler(event, context)

    return run


def count(name: str, number: int, *, even_zero: bool = False) -> None:
    """Count what happened, if anything did.

    A metric costs money in each hour in which it has data (docs/capacity-and-costs.md), and no data
    and 0 mean the same to those who look at it.
    """
    if number or even_zero:
        metrics.add_metric(name, MetricUnit.Count, number)


def report_stale_rate_card(message: str) -> None:
    """Report that a rate card could not be read as published: the message says what is used."""
    logger.error("rate card not read", reason=message)
    count("RateCardsNotRenewed", 1)


def report_stale_directory(message: str) -> None:
    """Report that the directory of call records could not be read as published."""
    logger.error("directory not read", reason=message)
    count("DirectoriesNotRenewed", 1)


def report_unreadable_secret(message: str) -> None:
    """Report that a secret could not be read; the message shows nothing of its content."""
    logger.error("secret not read", reason=message)
    count("SecretsUnreadable", 1)


def report_refused(refused: Sequence[Rejection]) -> None:
    """Log each refused event with its reason."""
    for rejection in refused:
        logger.warning("event refused", eventId=rejection.event_id, reason=rejection.reason)


def log_failures(message: str, by_organization: Mapping[str, Unavailable | None]) -> int:
    """Log the organizations for which something failed, and return how many these are."""
    failed = {name: error for name, error in by_organization.items() if error is not None}
    for organization_id, error in failed.items():
        logger.error(message, organizationId=organization_id, reason=str(error))
    return len(failed)


def log_with_names(
    message: str, extra: Mapping[str, object], field: str, names: Sequence[object]
) -> None:
    """Log one line with names, or where they do not fit it, further ones with the rest of them."""
    lines: list[list[object]] = [[]]
    left = MAX_CHARACTERS_OF_NAMES
    for name in names:
        left -= len(repr(name))
        if left < 0 and lines[-1]:
            lines.append([])
            left = MAX_CHARACTERS_OF_NAMES - len(repr(name))
        lines[-1].append(name)
    first, *more = lines
    # Where it is called from is what the line says of its place.
    logger.info(message, extra={**extra, field: first}, stacklevel=3)
    for some in more:
        logger.info("%s, continued", message, extra={field: some}, stacklevel=3)
