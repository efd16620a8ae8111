"""Each role is granted what its function was seen to call, and what Lambda calls for it: no more.

The calls are recorded while a day of events and requests runs through all functions, with some
trouble that exercises what a good day does not.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from perminute import sqs
from perminute.adapters.dynamodb import licensing_store
from perminute.adapters.dynamodb.recorded_content import DynamoDBRecordedContent
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.api.reports import endpoint
from perminute.domain.rating.call_content import without_number
from perminute.domain.values.times import format_instant
from perminute.sqs import BatchResults, Message
from perminute_local.conditions import decided, parameters_of
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.links import InProcess
from perminute_local.replay.plan import Disturbance
from perminute_local.replay.run import System, embedded_stack, read_plan, table_names
from perminute_local.stack import Template, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perminute_local.stack import Stack

DAY = Path(__file__).parents[2] / "examples" / "day"
LOWER = re.compile(r"_(\w)")
FUNCTION: ContextVar[str | None] = ContextVar("function", default=None)
IN_A_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
"""AWS: "IAM with DynamoDB transactions": each item asks for the permission of its kind."""

Call = tuple[str, str, str]
"""A function, the action that its role needs, and the physical name of the resource."""


@dataclass
class Recorder:
    """Sees the calls of the function that is just running."""

    names: dict[str, str]
    """The physical names of what the template makes."""
    calls: set[Call] = field(default_factory=set)
    updates: set[tuple[str, str, frozenset[str]]] = field(default_factory=set)
    """A function, a table, and the attributes that are named of one of its items."""

    def see(self, service: str, operation: str, request: dict[str, Any]) -> None:
        function = FUNCTION.get()
        if function is not None:
            for action, resource in _needed(service, operation, request):
                self.calls.add((function, action, resource))
            for item in request.get("TransactItems", ()):
                if "Update" in item:
                    update = item["Update"]
                    attributes = {*update["Key"], *update["ExpressionAttributeNames"].values()}
                    self.updates.add((function, update["TableName"], frozenset(attributes)))

    @contextmanager
    def listening(self) -> Iterator[None]:
        make, call = vars(BaseClient)["_make_api_call"], LoadedFunction.call
        seen = self.see

        def recorded(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
            seen(client.meta.service_model.service_name, operation, request)
            return make(client, operation, request)

        def named(function: LoadedFunction, event: Any) -> Any:
            token = FUNCTION.set(function.name)
            try:
                return call(function, event)
            finally:
                FUNCTION.reset(token)

        with (
            patch.object(BaseClient, "_make_api_call", recorded),
            patch.object(LoadedFunction, "call", named),
        ):
            yield


def _needed(service: str, operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Say which actions on which resources a request needs."""
    match service, operation:
        case "dynamodb", "TransactWriteItems" | "TransactGetItems":
            for item in request["TransactItems"]:
                ((kind, part),) = item.items()
                yield f"dynamodb:{IN_A_TRANSACTION[kind]}", part["TableName"]
        case "dynamodb", "BatchGetItem":
            for table in request["RequestItems"]:
                yield "dynamodb:BatchGetItem", table
        case "dynamodb", _:
            index = request.get("IndexName")
            yield f"dynamodb:{operation}", "/".join(filter(None, [request["TableName"], index]))
        case "sqs", "SendMessage" | "SendMessageBatch":
            yield "sqs:SendMessage", request["QueueUrl"].rpartition("/")[2]
        case "sqs", "ChangeMessageVisibilityBatch":
            yield "sqs:ChangeMessageVisibility", request["QueueUrl"].rpartition("/")[2]
        case "sns", "Publish" | "PublishBatch":
            yield "sns:Publish", request["TopicArn"].rpartition(":")[2]
        case "s3", "GetObject":
            yield "s3:GetObject", request["Bucket"]
        case _:
            pytest.fail(f"nobody has said what {service} {operation} needs")


def granted(template: Template, names: dict[str, str]) -> set[Call]:
    """Read what the roles are granted, by function; traces, which have no resource, aside."""
    functions = {
        function["Properties"]["Role"]["Fn::GetAtt"][0]: name
        for name, function in resources(template, "AWS::Serverless::Function")
    }
    found: set[Call] = set()
    for role, resource in resources(template, "AWS::IAM::Role"):
        if role not in functions:
            continue
        for policy in resource["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Resource"] != "*":
                    place = _resource(statement["Resource"], names)
                    found |= {(functions[role], action, place) for action in statement["Action"]}
    return found


def _resource(value: dict[str, Any], names: dict[str, str]) -> str:
    match value:
        case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), "Arn"]}:
            return names.get(logical_id, logical_id)
        case {"Fn::Sub": str(text)}:
            logical_id, _, below = text.removeprefix("${").partition(".Arn}/")
            index = below.removeprefix("index/") if below.startswith("index/") else ""
            stream = "stream" if below.startswith("stream/") else ""
            return "/".join(filter(None, [names.get(logical_id, logical_id), index or stream]))
        case _:
            pytest.fail(f"nobody has said which resource {value} is")


def called_by_lambda(template: Template, names: dict[str, str]) -> set[Call]:
    """Say what Lambda itself does as the function: poll, give up, and write the log."""
    found: set[Call] = set()
    for name, function in resources(template, "AWS::Serverless::Function"):
        properties = function["Properties"]
        log = properties["LoggingConfig"]["LogGroup"]["Ref"]
        found |= {(name, f"logs:{a}", log) for a in ("CreateLogStream", "PutLogEvents")}
        given_up = [properties.get("EventInvokeConfig", {})]
        for event in properties.get("Events", {}).values():
            match event:
                case {"Type": "SQS", "Properties": {"Queue": {"Fn::GetAtt": [queue, "Arn"]}}}:
                    polling = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
                    found |= {(name, f"sqs:{action}", names[queue]) for action in polling}
                case {"Type": "DynamoDB", "Properties": mapping}:
                    table = mapping["Stream"]["Fn::GetAtt"][0]
                    reading = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
                    found |= {(name, f"dynamodb:{a}", f"{names[table]}/stream") for a in reading}
                    given_up.append(mapping)
        for mapping in given_up:
            if "DestinationConfig" in mapping:
                place = mapping["DestinationConfig"]["OnFailure"]["Destination"]
                found.add((name, "sqs:SendMessage", _resource(place, names)))
    return found


def physical_names(stack: Stack) -> dict[str, str]:
    """Tell how the emulator has named the resources of the template."""
    setting = stack.setting
    return {
        "CreditTable": setting("CREDIT_TABLE"),
        "UsageTable": setting("USAGE_TABLE"),
        "LicensingTable": setting("LICENSING_TABLE"),
        "EventsTable": setting("EVENTS_TABLE"),
        "BookChecksTable": setting("BOOK_CHECKS_TABLE"),
        "ContentKeysTable": setting("CONTENT_KEYS_TABLE"),
        "RateCardBucket": setting("RATE_CARD_BUCKET"),
        "NotificationTopic": setting("NOTIFICATION_TOPIC_ARN").rpartition(":")[2],
        **{name: queue.url.rpartition("/")[2] for name, queue in stack.queues.items()},
    }


def event(source: str, kind: str, at: str, **detail: Any) -> dict[str, Any]:
    """An event of Litware, if the detail names no other organization."""
    detail = {"organizationId": "litware", **detail}
    return {
        "id": f"trouble-{detail['organizationId']}-{kind}-{at}-{len(detail)}",
        "source": f"perminute.{source}",
        "detail-type": kind,
        "time": at if "T" in at else f"2026-11-02T{at}Z",
        "detail": detail,
    }


REPORTS: dict[str, dict[str, Any]] = {
    "overview": {},
    "usage": {"from": "2026-11-01", "to": "2026-12-01", "groupBy": ["day", "legType"]},
    "calls": {"from": "2026-11-01", "to": "2026-12-01"},
    "explanation": {"callId": "longer"},
    "ledger": {"month": "2026-11"},
    "statement": {"month": "2026-11"},
    "forecast": {},
    "license-advice": {"price": "4"},
    "what-if": {"month": "2026-11", "pool": 30},
    "pstn-usage": {"month": "2026-11"},
}
"""A request for each report."""


def trouble() -> list[dict[str, Any]]:
    """What the example day does not have: limits, pools by assigned licenses, nonsense."""
    since = {"effectiveAt": "2026-11-01T00:00:00Z"}
    parts = {
        "organizerId": "lara",
        "meetingId": "m",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "remoteNumber": "+493023125042",
    }

    def call(call_id: str, at: str, ended: str) -> dict[str, Any]:
        times = {"answeredAt": f"2026-11-02T{at}Z", "endedAt": f"2026-11-02T{ended}Z"}
        return event("telephony", "Call Ended", ended, callId=call_id, **parts, **times)

    def joined(*organizations: str) -> list[dict[str, Any]]:
        detail = call("joined", "08:10:00", "08:20:00")["detail"]
        return [{**detail, "legType": "app", "organizationId": name} for name in organizations]

    def ask(request: str, call_id: str, at: str, **more: Any) -> dict[str, Any]:
        body = {"organizationId": "litware", "callId": call_id, **parts, **more}
        return {"request": request, "time": f"2026-11-02T{at}Z", "body": body}

    licenses = ("subscription", "communicationsCredits")
    return [
        event("licensing", "Organization Changed", "08:00:00", poolBasis="assigned", **since),
        *(
            event("licensing", "License Assigned", f"08:00:0{n}", userId="lara", license=name)
            | {"detail": {"organizationId": "litware", "userId": "lara", "license": name, **since}}
            for n, name in enumerate(licenses, 1)
        ),
        event(
            "licensing",
            "User Changed",
            "08:00:05",
            userId="lara",
            country="US",
            changeId="where-lara-is",
            **since,
        ),
        event("billing", "Credits Configured", "08:01:00", currency="USD"),
        event(
            "billing",
            "Credit Purchased",
            "08:01:01",
            purchaseId="po",
            amount="50",
            currency="USD",
            purchasedAt="2026-11-02T08:01:01Z",
        ),
        call("before", "08:10:00", "08:20:00"),
        event("telephony", "Calls Ended", "08:20:00", calls=joined("litware", "wingtip")),
        # Asked again in the same second, nothing changes but the call: the account is looked at.
        ask("authorize", "c", "08:20:30", sequence=0, remoteNumber="+971212345678"),
        ask("update", "c", "08:20:30", sequence=1, usedSeconds=0),
        ask("release", "c", "08:20:31", sequence=2, usedSeconds=0),
        # From now on there are limits, and what was spent is to be counted.
        event(
            "billing",
            "Credits Configured",
            "08:30:00",
            currency="USD",
            prefixHourlySpendLimit="20",
            dailySpendLimit="40",
        ),
        event(
            "licensing",
            "User Changed",
            "08:30:01",
            userId="lara",
            monthlySpendLimit="30",
            effectiveAt="2026-11-02T08:30:00Z",
        ),
        call("b", "08:31:00", "08:32:00"),
        event(
            "licensing",
            "User Changed",
            "08:33:00",
            userId="lara",
            monthlySpendLimit="20",
            country="CA",
            effectiveAt="2026-11-02T08:33:00Z",
        ),
        ask("authorize", "a", "08:40:00", sequence=0, requestedSeconds=4_200),
        ask("update", "a", "08:41:00", sequence=1, usedSeconds=60),
        ask("authorize", "blocked", "08:41:30", sequence=0, remoteNumber="+19005550100"),
        # Its bridge has restarted.
        ask("callsUnderWay", "a", "08:41:31"),
        ask("call", "a", "08:41:31"),
        # Its pool counts assigned licenses.
        ask("overview", "a", "08:41:32"),
        call("a", "08:40:05", "08:50:05"),
        # Of the end of a call that was reported nobody ever tells.
        ask("authorize", "untold", "08:51:00", sequence=0),
        ask("update", "untold", "08:53:00", sequence=1, usedSeconds=60),
        ask("release", "untold", "08:54:00", sequence=2, usedSeconds=42),
        event("billing", "Credit Adjusted", "09:00:00", adjustmentId="x", amount="nonsense"),
        event("billing", "Recharge Failed", "09:00:01", rechargeId="unknown", reason="no"),
        # A lot expires at midnight, and nobody but the daily run is there to book it.
        event(
            "billing",
            "Credit Purchased",
            "09:05:00",
            purchaseId="short",
            amount="5",
            currency="USD",
            purchasedAt="2026-11-02T09:05:00Z",
            expiresAt="2026-11-03T00:00:00Z",
        ),
        # The license goes, as of before: calls are looked at again, in lists that are found.
        event("licensing", "License Removed", "09:10:00", userId="lara", license="subscription")
        | {
            "detail": {
                "organizationId": "litware",
                "userId": "lara",
                "license": "subscription",
                "effectiveAt": "2026-11-02T08:05:00Z",
            }
        },
        # While there is no limit nothing is counted for it: whoever charges next counts it anew.
        event("billing", "Credits Configured", "09:19:00", currency="USD", dailySpendLimit="40"),
        event(
            "billing",
            "Credits Configured",
            "09:20:00",
            currency="USD",
            prefixHourlySpendLimit="21",
            dailySpendLimit="40",
        ),
        event(
            "billing",
            "Credit Adjusted",
            "2026-11-03T10:00:00Z",
            adjustmentId="y",
            amount="1",
            reason="the day after",
        ),
        event(
            "billing",
            "Credit Adjusted",
            "2026-11-06T10:00:00Z",
            adjustmentId="z",
            amount="1",
            reason="when all that was reported is due",
        ),
    ]


def many_lots() -> list[dict[str, Any]]:
    """An account with more lots than its item contains: 28 of 0.10 USD, 20 of them further lots.

    A call or an adjustment that is larger than the lots in the account item moves further ones up.
    """
    tailspin = {"organizationId": "tailspin"}
    mia = {**tailspin, "userId": "mia"}
    since = {"effectiveAt": "2026-11-01T00:00:00Z"}
    parts = {
        "organizerId": "mia",
        "meetingId": "m",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "remoteNumber": "+493023125042",
    }

    def bought(number: int, **more: str) -> dict[str, Any]:
        at = f"10:01:{number:02}"
        context = {"amount": "0.10", "currency": "USD", "purchasedAt": f"2026-11-02T{at}Z", **more}
        name = {"purchaseId": f"lot-{number:02}"}
        return event("billing", "Credit Purchased", at, **tailspin, **name, **context)

    def call(call_id: str, answered: str, ended: str) -> dict[str, Any]:
        times = {"answeredAt": f"2026-11-02T{answered}Z", "endedAt": f"2026-11-02T{ended}Z"}
        return event("telephony", "Call Ended", ended, callId=call_id, **tailspin, **parts, **times)

    def adjusted(at: str, name: str, amount: str, **more: str) -> dict[str, Any]:
        what = {"adjustmentId": name, "amount": amount, "reason": name, **more}
        return event("billing", "Credit Adjusted", at, **tailspin, **what)

    return [
        event(
            "licensing",
            "Organization Changed",
            "10:00:00",
            **tailspin,
            licensingProgram="volume",
            **since,
        ),
        event("licensing", "User Changed", "10:00:04", **mia, country="US", **since),
        *(
            event("licensing", "License Assigned", f"10:00:0{n}", **mia, license=name, **since)
            for n, name in enumerate(("payPerMinute", "communicationsCredits"), 1)
        ),
        event("billing", "Credits Configured", "10:00:05", **tailspin, currency="USD"),
        *(bought(n) for n in range(27)),
        # The last lot expires at midnight: the daily run finds it among the further ones.
        bought(27, expiresAt="2026-11-03T00:00:00Z"),
        # Each costs 0.90: the first empties nine lots, the second those that are moved up for it.
        call("long", "10:10:00", "11:10:00"),
        call("longer", "11:20:00", "12:20:00"),
        adjusted("12:30:00", "lot 25 was not paid", "-0.10", purchaseId="lot-25"),
        adjusted("12:31:00", "more than eight lots have", "-0.85"),
        # Of the lots that get this back, some do not fit into the account item again.
        event(
            "licensing",
            "License Removed",
            "12:40:00",
            **mia,
            license="communicationsCredits",
            effectiveAt="2026-11-02T11:15:00Z",
        ),
        event(
            "licensing",
            "License Assigned",
            "12:41:00",
            **mia,
            license="communicationsCredits",
            effectiveAt="2026-11-02T12:41:00Z",
        ),
        *(
            {"request": name, "time": "2026-11-02T12:50:00Z", "body": {**tailspin, **parameters}}
            for name, parameters in REPORTS.items()
        ),
        # A further lot expires before what is reserved lapses, so these lots are read.
        {
            "request": "authorize",
            "time": "2026-11-02T23:50:00Z",
            "body": {**tailspin, "callId": "late", **parts, "sequence": 0},
        },
        # Its end is never told, and a limit is set: the daily run charges it, and counts the rest.
        {
            "request": "release",
            "time": "2026-11-02T23:52:00Z",
            "body": {**tailspin, "callId": "late", **parts, "sequence": 1, "usedSeconds": 30},
        },
        event(
            "licensing",
            "User Changed",
            "23:52:01",
            **mia,
            monthlySpendLimit="100",
            **since,
        ),
    ]


def forgotten(links: InProcess) -> None:
    """Have something wait of which nobody is told but the run of the evening."""
    since = "2026-11-02T08:05:00Z"
    detail = {"organizationId": "litware", "userId": "lara", "license": "subscription"}
    said = {
        "id": "forgotten",
        "source": "perminute.licensing",
        "detail-type": "License Assigned",
        "time": "2026-11-03T11:00:00Z",
        "detail": detail | {"effectiveAt": since},
    }
    _, licensing = links.readers["LicensingQueue"]
    assert not licensing.invoke([SQSMessage(json.dumps(said))], "arn")
    assert list(links.clock.run_all()) == []


def rolled_over(links: InProcess) -> None:
    """Have a timeline filled twice, so that facts move on, and old ones are folded."""
    _, licensing = links.readers["LicensingQueue"]
    with patch.object(licensing_store, "MAX_FACTS", 1):
        for day in ("2024-05-01", "2024-05-02", "2024-05-03", "2026-11-02"):
            user = {"organizationId": "litware", "userId": "nina", "country": "DE"}
            at = f"{day}T11:00:00Z"
            said = event("licensing", "User Changed", at, **user, effectiveAt=at)
            assert not licensing.invoke([SQSMessage(json.dumps(said))], "arn")


def delivered_again(links: InProcess, stack: Stack) -> None:
    """Mask the number of a call, and have it delivered once more."""
    _, charging = links.readers["CallsQueue"]
    tables = Tables.bind(connect(), table_names(stack))
    content = DynamoDBRecordedContent(tables)
    pages = content.pages("contoso")
    usage = next(one for page in pages for one in page.usages if one.call.remote_number)
    assert content.replace(usage, without_number(usage, b"key"))
    call = json.loads(json.dumps(asdict(usage.call), default=str))
    times = {"answered_at", "ended_at", "billable_seconds", "exact_seconds"}
    names = call.keys() - times
    detail = {LOWER.sub(lambda found: found[1].upper(), name): call[name] for name in names}
    for name, at in (("answeredAt", usage.call.answered_at), ("endedAt", usage.call.ended_at)):
        detail[name] = at and format_instant(at)
    detail["billableSeconds"] = usage.call.billable_seconds
    said = {
        "id": "again",
        "source": "perminute.telephony",
        "detail-type": "Call Ended",
        "time": detail["endedAt"],
        "detail": detail,
    }
    assert not charging.invoke([SQSMessage(json.dumps(said))], "arn")


def nonsense(links: InProcess) -> None:
    """Show functions what nobody should send them, for they keep it."""
    record = {"organizationId": {"S": "litware"}, "record": {"S": "outbox#1"}}
    broken = {"dynamodb": {"Keys": record, "NewImage": {"x": {"S": "y"}}, "SequenceNumber": "1"}}
    for stream in links.streams:
        for reader in stream.readers:
            reader.function.call({"Records": [broken | {"eventID": "e"}]})
    for queue, (_, function) in links.readers.items():
        body = {"messageId": "m", "body": f"nonsense for {queue}", "attributes": {}}
        function.call({"Records": [body]})


def contended(links: InProcess) -> None:
    """Have other writers be in the way of all queues' messages."""
    message = Message("m", "{}", "receipt", 1)
    busy = BatchResults[Any](failed=[(message, "busy")], contended=[message])
    with patch.object(sqs, "process_batch", lambda *_, **__: busy):
        for _, function in links.readers.values():
            function.call({"Records": [SQSMessage("{}").record("arn")]})


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory,
    one_emulator: Callable[[], AbstractContextManager[object]],
) -> Recorder:
    """What functions were seen to call on a day with some trouble."""
    folder = tmp_path_factory.mktemp("day")
    events = (DAY / "events.jsonl").read_text() + "\n".join(
        map(json.dumps, [*trouble(), *many_lots()])
    )
    (folder / "events.jsonl").write_text(events)
    (folder / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    plan = read_plan(folder, batch_size=None, disturbance=Disturbance())
    with (
        one_emulator(),
        embedded_stack() as stack,
        (recorder := Recorder(physical_names(stack))).listening(),
    ):
        links = InProcess(stack)
        results = System(links, plan.rate_card).replay(plan, advance=lambda _: None)
        reports = [one.answer for one in results.responses if one.request in REPORTS]
        assert [answer for answer in reports if "asOf" not in answer] == []
        forgotten(links)
        rolled_over(links)
        delivered_again(links, stack)
        nonsense(links)
        contended(links)
    return recorder


def test_every_report_is_among_what_was_read() -> None:
    assert set(REPORTS) == set(endpoint.REPORTS)


def test_no_role_is_granted_more_or_less_than_its_function_needs(
    template: Template, watched: Recorder
) -> None:
    # What receives call records: tests/template/test_permissions.py.
    template = decided(template, parameters_of(template, {}))
    allowed = granted(template, watched.names)
    needed = watched.calls | called_by_lambda(template, watched.names)
    assert sorted(needed - allowed) == [], "called and not granted"
    assert sorted(allowed - needed) == [], "granted and not called"


@pytest.mark.parametrize("function", ["ApplyLicensing", "PublishNotifications"])
def test_who_writes_beside_the_money_writes_what_is_none_and_its_role_says_so(
    template: Template, watched: Recorder, function: str
) -> None:
    role = template["Resources"][f"{function}Role"]["Properties"]["Policies"][0]
    allowed = {}
    for statement in role["PolicyDocument"]["Statement"]:
        if statement["Resource"] == {"Fn::GetAtt": ["CreditTable", "Arn"]}:
            conditions = statement["Condition"]
            enclosing = conditions["ForAnyValue:StringEquals"]["dynamodb:EnclosingOperation"]
            assert (statement["Action"], enclosing) == (
                ["dynamodb:UpdateItem"],
                "TransactWriteItems",
            )
            named = conditions["ForAllValues:StringEquals"]["dynamodb:Attributes"]
            allowed[statement["Sid"]] = frozenset(named)
    table = watched.names["CreditTable"]
    seen = {
        attributes
        for caller, name, attributes in watched.updates
        if (caller, name) == (f"{function}Function", table)
    }
    assert [one for one in seen if not any(one <= named for named in allowed.values())] == []
    for sid, named in allowed.items():
        assert named == frozenset().union(*(one for one in seen if one <= named)), sid
