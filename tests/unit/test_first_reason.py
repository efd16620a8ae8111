"""Of several reasons in one record the first counts: that it is no call, before what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stated_calls import converted, directory

from perminute.sources.outcomes import Leg

GRAPH = {"id": "c-1", "callType": "oc_new", "calleeNumber": "+12065550100"}
ZOOM = {"uuid": "m-1", "type": "new", "phone_number": "+12065550100"}


@pytest.mark.parametrize(
    ("source", "record", "reason"),
    [
        ("graph-pstn", GRAPH, "unknownCallType"),
        ("graph-pstn", GRAPH | {"callerNumber": "sip:lee@example.com"}, "notPhone"),
        ("graph-pstn", GRAPH | {"userId": ["lee"]}, "notACallRecord"),
        ("zoom-telephone", ZOOM, "unknownCallType"),
        ("zoom-telephone", ZOOM | {"signaled_number": "sip:lee@example.com"}, "notPhone"),
        ("zoom-telephone", ZOOM | {"host_id": ["lee"]}, "notACallRecord"),
    ],
)
def test_a_record_of_an_unknown_type_may_be_none_at_all(
    source: str, record: dict[str, Any], reason: str
) -> None:
    (outcome,) = converted(
        source, json.dumps(record).encode(), of=directory("tenant,contoso,contoso,,,,")
    )
    assert not isinstance(outcome.result, Leg)
    assert outcome.result.reason == reason
