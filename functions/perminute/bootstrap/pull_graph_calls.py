"""Build the use case that pulls the phone calls of Microsoft Graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.application.compare_records import CompareRecords
from perminute.application.pull_graph_calls import PullGraphCalls
from perminute.application.retry import RetryPolicy
from perminute.bootstrap.graph import graph_tenants, records_bucket

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def compare_records(aws: AwsResources) -> CompareRecords:
    """Return what compares the calls that were pulled with those that were charged."""
    return CompareRecords(
        DynamoDBCreditStore(aws.tables),
        DynamoDBCalls(aws.tables),
        RetryPolicy(),
        compares_costs=aws.setting("GRAPH_COSTS") == "compared",
    )


def pull_graph_calls(aws: AwsResources) -> PullGraphCalls:
    """Return the use case over one connection to AWS."""
    return PullGraphCalls(
        tenants=graph_tenants(aws),
        directories=aws.directories(),
        calls=DynamoDBCalls(aws.tables),
        bucket=records_bucket(aws),
        retry=RetryPolicy(),
    )
