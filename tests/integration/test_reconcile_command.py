"""`perminute reconcile` against a stack on the embedded AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from builders import LONG_AGO, processed_event, purchase

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.book_credit import BookCredit
from perminute.application.results import Accepted
from perminute.application.retry import RetryPolicy
from perminute.domain.credit.transaction import IdentityKind
from perminute_local.cli import main
from perminute_local.replay.run import table_names
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from perminute_local.stack import Stack


def fund(stack: Stack, organization: str) -> None:
    store = DynamoDBCreditStore(Tables.bind(connect(), table_names(stack)))
    bought = processed_event("po-1", kind=IdentityKind.PURCHASE, organization_id=organization)
    event = purchase(organization_id=organization, processed_event=bought, issued_at=LONG_AGO)
    assert isinstance(BookCredit(store, RetryPolicy())([event])[0], Accepted)


@pytest.fixture
def funded(ministack_stack: Stack, organization: str) -> str:
    fund(ministack_stack, organization)
    return organization


def take_a_cent(stack: Stack, organization: str) -> None:
    boto3.client("dynamodb").update_item(
        TableName=table_names(stack).credit,
        Key={"organizationId": {"S": organization}, "record": {"S": "account"}},
        UpdateExpression="ADD balanceMicros :cent",
        ExpressionAttributeValues={":cent": {"N": "-10000"}},
    )


def test_books_that_agree_are_exit_code_0(funded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconcile", "--stack", STACK_NAME, "--organization", funded]) == 0
    assert capsys.readouterr().out == f"{funded}: 1 ledger entry, no difference\n"


def test_without_a_name_all_organizations_are_checked(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    # On ministack they would be all those of all tests.
    for organization in ("contoso", "fabrikam"):
        fund(moto_stack, organization)
    assert main(["reconcile", "--stack", STACK_NAME]) == 0
    out = capsys.readouterr().out
    for organization in ("contoso", "fabrikam"):
        assert f"{organization}: 1 ledger entry, no difference\n" in out
    take_a_cent(moto_stack, "fabrikam")
    assert main(["reconcile", "--stack", STACK_NAME]) == 1


def test_a_difference_is_named_with_its_entries_and_is_exit_code_1(
    ministack_stack: Stack, funded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    take_a_cent(ministack_stack, funded)
    call = ["reconcile", "--stack", STACK_NAME, "--organization", funded]
    assert main([*call, "--json"]) == 1
    first = "the balance is 49.99, but the entries add up to 50"
    second = "the balance is 49.99, but lots less debt are 50"
    assert json.loads(capsys.readouterr().out) == {
        "organizations": 1,
        "entries": 1,
        "unread": [],
        "differences": [
            {"organizationId": funded, "message": message, "entries": ["000000000001"]}
            for message in (first, second)
        ],
    }
    assert main(call) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{funded}: 1 ledger entry: {message} (entries 000000000001)" for message in (first, second)
    ]


def test_books_that_somebody_damaged_are_named_and_hide_nothing_else(
    ministack_stack: Stack, funded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = f"{funded}-damaged"
    boto3.client("dynamodb").put_item(
        TableName=table_names(ministack_stack).credit,
        Item={
            "organizationId": {"S": damaged},
            "record": {"S": "account"},
            "version": {"N": "1"},
            "lots": {"S": '[["1", "po-1", "yesterday", "tomorrow", 5, false]]'},
        },
    )
    call = ["reconcile", "--stack", STACK_NAME, "--organization", damaged]
    assert main([*call, "--organization", funded]) == 1
    shown = capsys.readouterr()
    assert shown.out == f"{funded}: 1 ledger entry, no difference\n"
    assert f"{damaged}: could not be read: the account of {damaged} holds something" in shown.err
    assert main([*call, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["unread"] == [damaged]


@pytest.mark.usefixtures("ministack_stack")
def test_an_organization_that_has_no_account_is_not_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["reconcile", "--stack", STACK_NAME, "--organization", "contsoo"]) == 2
    assert (
        capsys.readouterr().err
        == "perminute: --organization: contsoo has no account; check its id\n"
    )


@pytest.mark.usefixtures("ministack_stack")
def test_a_stack_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconcile", "--stack", "nowhere"]) == 2
    assert "the books of nowhere cannot be read: " in capsys.readouterr().err


@pytest.mark.usefixtures("ministack_stack")
def test_a_stack_of_something_else_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    other = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    client = boto3.client("cloudformation")
    client.create_stack(StackName="other", TemplateBody=json.dumps(other))
    assert main(["reconcile", "--stack", "other"]) == 2
    assert "other is not a stack of perminute: it has no output CreditTableName" in (
        capsys.readouterr().err
    )
