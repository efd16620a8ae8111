"""What DynamoDB may answer and no emulator does: collisions, throttling, time-outs, a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError
from builders import ANSWERED, phone_call, processed_event, refuses
from scripted_dynamodb import scripted_over, unreachable

from perminute.adapters.dynamodb.calls import DynamoDBCallsUnderWay
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Operation,
    Reservation,
)
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    Authorized,
    ProcessedEvent,
    Transaction,
)
from perminute.domain.errors import Contended, Throttled, Unavailable, Unwritable
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.rerating.rerating import Rerating

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripted_dynamodb import Scripted

    from perminute.adapters.dynamodb.tables import Tables

ACCOUNT = Account(organization_id="contoso")
POSTING = Transaction(before=ACCOUNT, after=Account(organization_id="contoso", version=1))


@pytest.fixture
def scripted() -> Iterator[tuple[Tables, Scripted]]:
    with unreachable() as connection, scripted_over(connection) as schema_and_script:
        yield schema_and_script


def cancelled(*codes: str) -> dict[str, Any]:
    return {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled",
        "CancellationReasons": [{"Code": code} for code in codes],
    }


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (cancelled("TransactionConflict"), AccountChanged),
        (cancelled("ConditionalCheckFailed"), AccountChanged),
        (
            {"__type": "com.amazonaws.dynamodb.v20120810#TransactionInProgressException"},
            AccountChanged,
        ),
        (cancelled("ThrottlingError"), Throttled),
        (cancelled("TransactionConflict", "ProvisionedThroughputExceeded"), Throttled),
    ],
)
def test_a_collision_or_a_lack_of_capacity_is_a_reason_to_decide_again(
    scripted: tuple[Tables, Scripted], answer: dict[str, Any], raised: type[Unavailable]
) -> None:
    schema, script = scripted
    # The SDK itself repeats some of them before it gives up.
    script.answers.extend([answer] * 3)
    with pytest.raises(raised) as error:
        DynamoDBCreditStore(schema).commit(POSTING)
    assert type(error.value) is raised


@pytest.mark.parametrize(
    "answer",
    [
        {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "no"},
        ReadTimeoutError(endpoint_url="http://127.0.0.1:9"),
    ],
)
def test_what_will_not_pass_by_trying_at_once_is_left_to_the_queue(
    scripted: tuple[Tables, Scripted], answer: dict[str, Any] | Exception
) -> None:
    schema, script = scripted
    script.answers.extend([answer] * 3)
    with pytest.raises(Unavailable, match="writing a transaction"):
        DynamoDBCreditStore(schema).commit(POSTING)


def test_what_the_table_does_not_take_is_told_apart(scripted: tuple[Tables, Scripted]) -> None:
    schema, script = scripted
    script.answers.extend([cancelled("None", "ValidationError")] * 3)
    with pytest.raises(Unwritable, match="ValidationError"):
        DynamoDBCreditStore(schema).commit(POSTING)


def test_a_repeated_request_of_the_sdk_carries_the_token_of_the_first(
    scripted: tuple[Tables, Scripted],
) -> None:
    schema, script = scripted
    script.answers.extend([ReadTimeoutError(endpoint_url="http://127.0.0.1:9"), {}])
    DynamoDBCreditStore(schema).commit(POSTING)
    first, second = script.questions
    assert first["ClientRequestToken"] == second["ClientRequestToken"]


def test_an_account_is_read_as_it_is_now(scripted: tuple[Tables, Scripted]) -> None:
    schema, script = scripted
    script.answers.append({})
    assert DynamoDBCreditStore(schema).account("contoso") == ACCOUNT
    assert script.questions[0]["ConsistentRead"] is True


def test_timelines_are_read_in_one_transaction_as_long_as_they_fit(
    scripted: tuple[Tables, Scripted],
) -> None:
    schema, script = scripted
    script.answers.extend([{"Responses": [{}] * 25}, {"Responses": [{}] * 16}])
    users = [f"user-{number}" for number in range(40)]
    assert DynamoDBLicensingStore(schema).licensing("contoso", users) == Licensing()
    assert [len(question["TransactItems"]) for question in script.questions] == [25, 16]


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("TransactionConflict", Contended),
        ("ThrottlingError", Throttled),
        ("AccessDenied", Unavailable),
    ],
)
def test_timelines_that_are_just_being_changed_are_not_read_half(
    scripted: tuple[Tables, Scripted], code: str, raised: type[Unavailable]
) -> None:
    schema, script = scripted
    script.answers.extend([cancelled(code)] * 3)
    with pytest.raises(raised) as error:
        DynamoDBLicensingStore(schema).licensing("contoso", [])
    assert type(error.value) is raised


def test_a_record_that_exists_outweighs_a_collision_beside_it(
    scripted: tuple[Tables, Scripted],
) -> None:
    schema, script = scripted
    proof = processed_event("e-1")
    row = {"eventId": {"S": "e-1"}, "organizationId": {"S": "contoso"}, "content": {"S": "{}"}}
    answer = cancelled("ConditionalCheckFailed", "TransactionConflict")
    answer["CancellationReasons"][0]["Item"] = row
    script.answers.extend([answer] * 3)
    with refuses(AlreadyExists(processed_events={proof.key: ProcessedEvent(proof.key, "{}")})):
        DynamoDBCreditStore(schema).commit(POSTING._replace(processed_events=(proof,)))


@pytest.mark.parametrize(
    "answer",
    [
        cancelled("TransactionConflict"),
        cancelled("ThrottlingError"),
        {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"},
    ],
)
def test_a_step_of_a_re_rating_that_collides_comes_again_and_is_not_taken_for_done(
    scripted: tuple[Tables, Scripted], answer: dict[str, Any]
) -> None:
    """Its record would not change, so nothing would ever wake it again."""
    schema, script = scripted
    reratings = DynamoDBReratings(schema)
    waiting = Rerating(organization_id="contoso", rerating_id="event#e", at=ANSWERED)
    for step in (reratings.proceed, reratings.finish):
        script.answers += [answer] * 2
        with pytest.raises((Contended, Throttled)):
            step(waiting)
        script.answers.clear()
        script.answers.append(cancelled("ConditionalCheckFailed"))
        assert step(waiting) is False


RESERVATION = Reservation(
    call=phone_call(),
    last_request=ChargingRequest(Operation.AUTHORIZE, 0),
    answer=Answer(sequence=0, decision=Decision.DENY, reason="noLicense"),
)


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("com.amazonaws.dynamodb.v20120810#TransactionConflictException", Contended),
        ("com.amazonaws.dynamodb.v20120810#ThrottlingException", Throttled),
        ("com.amazon.coral.service#AccessDeniedException", Unavailable),
    ],
)
def test_a_call_that_others_are_just_writing_is_decided_anew(
    scripted: tuple[Tables, Scripted], code: str, raised: type[Unavailable]
) -> None:
    schema, script = scripted
    script.answers.extend([{"__type": code, "message": "no"}] * 3)
    with pytest.raises(raised) as error:
        DynamoDBCallsUnderWay(schema).store(Authorized(RESERVATION, None))
    assert type(error.value) is raised


def test_a_reading_of_which_a_part_was_not_answered_is_made_anew(
    scripted: tuple[Tables, Scripted],
) -> None:
    schema, script = scripted
    unread = {"usage": {"Keys": [{"organizationId": {"S": "contoso"}, "callId": {"S": "a"}}]}}
    script.answers.append({"Responses": {"credit": []}, "UnprocessedKeys": unread})
    with pytest.raises(Throttled, match="not all of it"):
        DynamoDBCallsUnderWay(schema).read("contoso", "a")
    for table in script.questions[0]["RequestItems"].values():
        assert table["ConsistentRead"] is True
