"""Who pays for a call, and the first of several reasons why nobody does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from stated_calls import ANSWERED, directory, stated

from perminute.domain.rating.calls import LegType, MeetingType
from perminute.formats.directory_csv import read_directory
from perminute.sources.outcomes import Leg, Rejected
from perminute.sources.resolve import resolve

TENANT = "tenant,their-tenant,contoso,,,,"
NUMBER = "number,+12065550100,contoso,tollDialIn,owner,,"
SHARED = "number,+12065550100,,tollFreeDialIn,,,"
ROOM = "conference,board,contoso,,chair,board-meeting,adHoc"
USER = "user,their-user,,,adele,,"


def leg(*rows: str, **changes: Any) -> Leg:
    return resolve(stated(**changes), directory(*rows), "asterisk-csv")


def refused(*rows: str, **changes: Any) -> str:
    with pytest.raises(Rejected) as rejection:
        leg(*rows, **changes)
    return rejection.value.result.reason


def test_what_the_record_says_goes_before_room_number_and_tenant() -> None:
    call = leg(
        TENANT,
        NUMBER,
        ROOM,
        USER,
        tenant="their-tenant",
        room="board",
        users=("their-user",),
        conference_id="0815",
        organization_id="contoso",
        organizer_id="said",
        meeting_id="said-meeting",
        meeting_type=MeetingType.SCHEDULED,
    )
    assert call[1:6] == ("contoso", "said", "said-meeting", MeetingType.SCHEDULED, "tollDialIn")


def test_the_room_goes_before_the_user_and_the_conference() -> None:
    call = leg(NUMBER, ROOM, USER, room="board", users=("their-user",), conference_id="0815")
    assert call[1:5] == ("contoso", "chair", "board-meeting", MeetingType.AD_HOC)


def test_the_owner_of_the_number_organizes_only_if_the_record_names_no_user() -> None:
    assert leg(NUMBER).organizer_id == "owner"
    assert leg(NUMBER, USER, users=("their-user",)).organizer_id == "adele"
    assert refused(NUMBER, USER, users=("nobody",)) == "unknownOrganizer"


def test_any_of_the_names_of_a_user_may_be_listed() -> None:
    call = leg(NUMBER, USER, users=("guid", "their-user"), user_is_organizer=True)
    assert call.organizer_id == "adele"
    assert leg(NUMBER, USER, users=("guid",), user_is_organizer=True).organizer_id == "guid"


def test_a_call_without_conference_is_its_own_meeting() -> None:
    assert leg(NUMBER).meeting_id == "call-1"
    assert leg(NUMBER, conference_id="0815").meeting_id == "0815"


def test_a_shared_number_says_the_leg_type_and_the_tenant_whose_call_it_is() -> None:
    call = leg(TENANT, SHARED, tenant="their-tenant", organizer_id="adele")
    assert (call.organization_id, call.leg_type) == ("contoso", LegType.TOLL_FREE_DIAL_IN)


def test_a_tenant_that_is_not_listed_is_a_problem_though_the_number_is() -> None:
    assert refused(NUMBER, tenant="nobody") == "unknownTenant"
    assert leg(NUMBER, tenant="nobody", organization_id="contoso").organization_id == "contoso"


def test_a_call_of_nobody_is_a_problem() -> None:
    assert refused(SHARED, organizer_id="adele") == "unknownTenant"
    assert refused(TENANT, SHARED, tenant="their-tenant") == "unknownOrganizer"


@pytest.mark.parametrize("of", [{"organization_id": "fabrikam"}, {"tenant": "other"}])
def test_two_organizations_are_a_problem(of: dict[str, str]) -> None:
    assert refused(NUMBER, "tenant,other,fabrikam,,,,", **of) == "organizationMismatch"


def test_a_dial_out_needs_a_destination_and_no_caller_id() -> None:
    dial_out = {"is_dial_out": True, "organizer_id": "adele", "organization_id": "contoso"}
    call = leg(NUMBER, **dial_out, service_number="bridge")
    assert (call.leg_type, call.service_number) == (LegType.DIAL_OUT, None)
    assert refused(NUMBER, **dial_out, remote_number="112") == "invalidNumber"


def test_the_caller_id_of_a_dial_out_says_the_organizer() -> None:
    assert leg(NUMBER, is_dial_out=True).organizer_id == "owner"


@pytest.mark.parametrize("caller", [None, "anonymous", "1001"])
def test_a_caller_who_withholds_the_number_is_left_out(caller: str | None) -> None:
    assert "remoteNumber" not in leg(NUMBER, remote_number=caller).detail()


def test_the_directory_is_read_at_the_answer_or_else_at_the_end() -> None:
    rows = (
        "kind,key,organization_id,leg_type,organizer_id,effective_from",
        "number,+12065550100,contoso,tollDialIn,late,2026-11-03T09:00:30Z",
    )
    entries = read_directory("\n".join(rows).encode())
    with pytest.raises(Rejected):
        resolve(stated(), entries, "chime-sma")
    unanswered = stated(answered_at=None, billable_seconds=0)
    assert resolve(unanswered, entries, "chime-sma").organizer_id == "late"


LONG = {"ended_at": ANSWERED + timedelta(hours=24, microseconds=1)}
BACKWARDS = {"ended_at": ANSWERED - timedelta(microseconds=1)}
STRANGE: dict[str, Any] = {"tenant": "nobody", "service_number": "x", "users": ("nobody",)}
LISTED: dict[str, Any] = STRANGE | {"tenant": "their-tenant"}
OTHERS: dict[str, Any] = LISTED | {"is_dial_out": True, "organization_id": "fabrikam"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (STRANGE | BACKWARDS, "endBeforeStart"),
        (STRANGE | LONG, "tooLong"),
        (STRANGE, "unknownTenant"),
        (LISTED, "unknownServiceNumber"),
        (OTHERS | {"remote_number": "112"}, "invalidNumber"),
        (OTHERS, "organizationMismatch"),
        (OTHERS | {"organization_id": "contoso"}, "unknownOrganizer"),
    ],
)
def test_of_several_reasons_the_first_one_is_told(changes: dict[str, Any], reason: str) -> None:
    assert refused(TENANT, **changes) == reason
