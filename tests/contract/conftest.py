"""Each contract test runs over the twin, and over the DynamoDB stores on two emulators.

With `make conformance` it runs over Amazon's own DynamoDB Local instead, which somebody who may
use it has started.
"""

from __future__ import annotations

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

ENGINES = ["twin", "moto", "ministack"]
OPTION = "--dynamodb-local"
WHAT_A_TABLE_IS = {
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stores" in metafunc.fixturenames:
        instead = metafunc.config.getoption(OPTION)
        metafunc.parametrize("stores", ["dynamodb-local"] if instead else ENGINES, indirect=True)


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Stores:
    match request.param:
        case "twin":
            return twins()
        case "dynamodb-local":
            return stores_on(*request.getfixturevalue("tables_on_dynamodb_local"))
        case emulator:
            stack = request.getfixturevalue(f"{emulator}_stack")
            own = (stack.setting(f"{name}_TABLE") for name in ("BOOK_CHECKS", "CONTENT_KEYS"))
            return stores_on(table_names(stack), *own)


@pytest.fixture(scope="session")
def _tables(
    template: Template, pytestconfig: pytest.Config
) -> Iterator[tuple[str, TableNames, str, str]]:
    endpoint: str = pytestconfig.getoption(OPTION)
    with environment(**client_environment(endpoint)):
        client = boto3.client("dynamodb")
        names = {
            logical_id: f"perminute-{logical_id}-{uuid4()}"
            for logical_id, _ in resources(template, "AWS::DynamoDB::Table")
        }
        for logical_id, table in resources(template, "AWS::DynamoDB::Table"):
            said: dict[str, Any] = table["Properties"]
            kept = {name: said[name] for name in WHAT_A_TABLE_IS & set(said)}
            client.create_table(TableName=names[logical_id], **kept)
        yield (
            endpoint,
            TableNames(
                credit=names["CreditTable"],
                usage=names["UsageTable"],
                licensing=names["LicensingTable"],
                events=names["EventsTable"],
            ),
            names["BookChecksTable"],
            names["ContentKeysTable"],
        )
        for name in names.values():
            client.delete_table(TableName=name)


@pytest.fixture
def tables_on_dynamodb_local(
    _tables: tuple[str, TableNames, str, str],
) -> Iterator[tuple[TableNames, str, str]]:
    """The template's tables, shared by all tests: each keeps to an organization of its own."""
    endpoint, names, book_checks, content_keys = _tables
    with environment(**client_environment(endpoint), **QUIET):
        yield names, book_checks, content_keys
