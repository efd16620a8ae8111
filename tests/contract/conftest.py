"""Each contract test runs over the twin, and over the DynamoDB stores on two emulators.

With `make conformance` it runs over Amazon's own DynamoDB Local instead, which somebody who may
use it has started.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from stores import Stores, stores_on, twins

from perminute.settings import TableNames
from perminute_local.embedded_aws import client_environment, environment
from perminute_local.replay.lambda_runtime import QUIET
from perminute_local.replay.run import table_names
from perminute_local.stack import Template, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT = os.environ.get("DYNAMODB_LOCAL_ENDPOINT")
ENGINES = ["dynamodb-local"] if ENDPOINT else ["twin", "moto", "ministack"]
WHAT_A_TABLE_IS = {
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
}


@pytest.fixture(params=ENGINES)
def stores(request: pytest.FixtureRequest) -> Stores:
    match request.param:
        case "twin":
            return twins()
        case "dynamodb-local":
            return stores_on(request.getfixturevalue("tables_on_dynamodb_local"))
        case emulator:
            return stores_on(table_names(request.getfixturevalue(f"{emulator}_stack")))


@pytest.fixture(scope="session")
def _tables(template: Template) -> Iterator[TableNames]:
    with environment(**client_environment(str(ENDPOINT))):
        client = boto3.client("dynamodb")
        names = {
            logical_id: f"perminute-{logical_id}-{uuid4()}"
            for logical_id, _ in resources(template, "AWS::DynamoDB::Table")
        }
        for logical_id, table in resources(template, "AWS::DynamoDB::Table"):
            said: dict[str, Any] = table["Properties"]
            kept = {name: said[name] for name in WHAT_A_TABLE_IS & set(said)}
            client.create_table(TableName=names[logical_id], **kept)
        yield TableNames(
            credit=names["CreditTable"],
            usage=names["UsageTable"],
            licensing=names["LicensingTable"],
            events=names["EventsTable"],
        )
        for name in names.values():
            client.delete_table(TableName=name)


@pytest.fixture
def tables_on_dynamodb_local(_tables: TableNames) -> Iterator[TableNames]:
    """The template's tables, shared by all tests: each keeps to an organization of its own."""
    with environment(**client_environment(str(ENDPOINT)), **QUIET):
        yield _tables
