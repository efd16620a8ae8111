"""Telephony's `Call Ended` events become charges (template.yaml: ChargeCallsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perminute.bootstrap import Application
from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.reports import report_charged
from perminute.sqs import sqs_handler

if TYPE_CHECKING:
    from perminute.application.charge_calls import EndedCall
    from perminute.sqs import Received

application = Application(os.environ)


def parse(body: str, received: Received) -> EndedCall:
    """Parse a `Call Ended`. Raises `Refused`."""
    return ended_call(read_event(body, TELEPHONY, received), received.heard_at)


handler = sqs_handler(
    parse=parse,
    use_case=application.charge_calls(),
    rejections=application.rejections(),
    report=report_charged,
)
