"""Build the use case that pulls license changes from Microsoft Graph."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perminute.adapters.event_bus import EventBridgeLicensing
from perminute.application.pull_graph_licenses import PullGraphLicenses
from perminute.bootstrap.graph import graph_tenants, records_bucket
from perminute.formats.graph_users import DELTA_PLACE, read_delta_user

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def pull_graph_licenses(aws: AwsResources) -> PullGraphLicenses:
    """Return the use case over one connection to AWS."""
    return PullGraphLicenses(
        tenants=graph_tenants(aws),
        directories=aws.directories(),
        bucket=records_bucket(aws),
        events=EventBridgeLicensing(lambda: aws.client("events"), aws.setting("EVENT_BUS")),
        place=DELTA_PLACE,
        read_user=read_delta_user,
        clock=lambda: datetime.now(UTC),
    )
