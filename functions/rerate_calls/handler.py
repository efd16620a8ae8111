"""Late changes reach the calls that they concern (template.yaml: RerateCallsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perminute.bootstrap import Application
from perminute.events.reratings import rerating_request_of
from perminute.reports import report_rerated
from perminute.sqs import sqs_handler

if TYPE_CHECKING:
    from perminute.application.rerate_calls import ReratingRequest
    from perminute.sqs import Received

application = Application(os.environ)


def parse(body: str, received: Received) -> ReratingRequest:
    """Parse a message of `queue_reratings`. Raises `Refused`."""
    return rerating_request_of(body, received.heard_at)


handler = sqs_handler(
    parse=parse,
    use_case=application.rerate_calls(),
    rejections=application.rejections(),
    report=report_rerated,
)
