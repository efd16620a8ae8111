"""Build what reads Microsoft Graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.graph_credentials import read_graph_credentials
from perminute.adapters.graph_tenants import SecretGraphTenants
from perminute.adapters.records_bucket import S3RecordsBucket
from perminute.adapters.secrets import CachedSecret
from perminute.observability import report_unreadable_secret

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def graph_tenants(aws: AwsResources) -> SecretGraphTenants:
    """Return the tenants that the secret lists."""
    secret = CachedSecret(
        lambda: aws.client("secretsmanager"),
        aws.setting("GRAPH_SECRET"),
        read_graph_credentials,
        report=report_unreadable_secret,
    )
    return SecretGraphTenants(secret)


def records_bucket(aws: AwsResources) -> S3RecordsBucket:
    """Return the bucket of call records."""
    return S3RecordsBucket(lambda: aws.client("s3"), aws.setting("RECORDS_BUCKET"))
