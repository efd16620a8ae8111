"""Licensing events become facts on timelines (template.yaml: ApplyLicensingFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perminute.bootstrap import Application
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, check_within_horizon, licensing_event
from perminute.reports import report_batch
from perminute.sqs import sqs_handler

if TYPE_CHECKING:
    from perminute.application.apply_licensing import LicensingEvent
    from perminute.sqs import Received

application = Application(os.environ)
apply_licensing = application.apply_licensing()


def parse(body: str, received: Received) -> LicensingEvent:
    """Parse a licensing event. Raises `Refused`."""
    event = read_event(body, LICENSING, received)
    check_within_horizon(event, apply_licensing.horizon)
    return licensing_event(event, received.heard_at)


handler = sqs_handler(
    parse=parse,
    use_case=apply_licensing,
    rejections=application.rejections(),
    report=report_batch,
)
