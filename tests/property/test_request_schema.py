"""The OpenAPI document and what reads the bodies of requests agree, whichever side is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from builders import phone_call
from from_schema import Values, with_something_else
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perminute.api.endpoints import BY_NAME, _report
from perminute.api.messages import AuthorizeBody, ReportBody, UpdateBody
from perminute.domain.authorization.reservations import Operation
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import read_numbers
from perminute.parsing import parse
from perminute_local.documents.openapi import document

if TYPE_CHECKING:
    from perminute.fields import Message

COMPONENTS = document()["components"]["schemas"]
BODIES = [BY_NAME[name].reads for name in ("authorize", "update", "release")]
ALLOWED = {
    body: jsonschema_rs.validator_for(
        {
            "$ref": f"#/components/schemas/{body.__name__}",
            "components": {"schemas": COMPONENTS},
        }
    )
    for body in BODIES
}
SAMPLES: dict[type[Message], list[dict[str, Any]]] = {
    AuthorizeBody: [
        {
            "sequence": 0,
            "organizerId": "adele",
            "meetingId": "weekly-0211",
            "meetingType": "scheduled",
            "legType": leg_type,
            "serviceNumber": "+18005550199",
            "remoteNumber": "+493023125042",
            "requestedSeconds": 600,
        }
        for leg_type in ("dialOut", "tollDialIn", "tollFreeDialIn", "app")
    ],
    UpdateBody: [
        {"sequence": 1, "usedSeconds": 60, "requestedSeconds": 300},
        {"sequence": 2, "totalUsedSeconds": 120},
    ],
    BODIES[2]: [{"sequence": 1, "usedSeconds": 60}, {"sequence": 2, "totalUsedSeconds": 120}],
}


def is_read(body: dict[str, Any], kind: type[Message]) -> bool:
    """Whether a body is read, whatever is known of its call."""
    try:
        match parse(json.dumps(body).encode(), kind):
            case AuthorizeBody(leg_type=leg_type, service_number=service, remote_number=remote):
                numbers = read_numbers(leg_type, service_number=service, remote_number=remote)
                phone_call(leg_type=leg_type, **numbers._asdict())
            case ReportBody() as report:
                _report(Operation.UPDATE, report)
            case other:
                raise AssertionError(other)
    except Refused:
        return False
    return True


def check_agreement(body: dict[str, Any], kind: type[Message]) -> None:
    assert is_read(body, kind) is ALLOWED[kind].is_valid(body)


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_the_document_allows_is_read(kind: type[Message], data: st.DataObject) -> None:
    body = data.draw(Values(COMPONENTS).of(COMPONENTS[kind.__name__]))
    check_agreement(body, kind)


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_is_nearly_right_is_read_if_the_document_allows_it(
    kind: type[Message], data: st.DataObject
) -> None:
    names = sorted(COMPONENTS[kind.__name__]["properties"])
    sample = data.draw(st.sampled_from(SAMPLES[kind]))
    check_agreement(data.draw(with_something_else(sample, names, SAMPLES[kind])), kind)


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_the_samples_are_allowed_and_read(kind: type[Message]) -> None:
    for sample in SAMPLES[kind]:
        assert ALLOWED[kind].is_valid(sample)
        assert is_read(sample, kind)
