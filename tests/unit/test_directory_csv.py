from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from perminute.domain.errors import FaultyDirectory
from perminute.domain.rating.calls import LegType
from perminute.formats.directory_csv import read_directory

if TYPE_CHECKING:
    from perminute.domain.reference.directory import Directory, DirectoryEntry

HEADER = (
    "kind,key,source,organization_id,leg_type,organizer_id,meeting_id,meeting_type,"
    "effective_from,effective_to"
)
NUMBER = "+12065550100"
JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


def directory(*rows: str, header: str = HEADER) -> Directory:
    return read_directory("\n".join([header, *rows]).encode())


def faults(*rows: str, header: str = HEADER) -> list[tuple[int, str]]:
    with pytest.raises(FaultyDirectory) as refusal:
        directory(*rows, header=header)
    return [(fault.line, fault.message) for fault in refusal.value.faults]


def number(of: Directory, at: datetime, source: str = "graph-pstn") -> DirectoryEntry | None:
    return of.numbers.find(NUMBER, source=source, at=at)


def test_every_fault_is_listed_by_its_line() -> None:
    assert faults(
        "tenant,contoso-tenant,,contoso,,,,,,",
        "Tenant,x,,contoso,,,,,,",
        "tenant,,,,,,,,,",
        "number,1 206 555,,,dialOut,,,,,",
        "number,+1206555****,,,tollDialIn,,,,,",
        "number,+12065550100,,,,,,,,",
        "user,adele,teams,,,,,,,",
        "conference,board,,contoso,,,,weekly,2026-11-01,2026-11-01T00:00:00Z",
        "conference,board,,,,,,,2026-11-02T00:00:00Z,2026-11-01T00:00:00Z",
        f"tenant,{'x' * 251},,contoso,,,,,,",
    ) == [
        (3, "kind: must be one of tenant, number, conference, user: write tenant"),
        (4, "key: must not be empty"),
        (4, "organization_id: must not be empty"),
        (
            5,
            "key: must be an E.164 number of 7 to 15 digits such as +14255550100 (a masked tail "
            "such as **** is accepted)",
        ),
        (5, "leg_type: must be one of tollDialIn, tollFreeDialIn"),
        (6, "key: must be a whole number of your own: none of its digits may be *"),
        (7, "leg_type: must not be empty"),
        (8, "organizer_id: must not be empty"),
        (
            8,
            "source: must be one of graph-pstn, teams-csv, chime-voice-connector, chime-sma, "
            "twilio-callback, twilio-call, twilio-event-stream, freeswitch-json, asterisk-csv, "
            "asterisk-ami, zoom-telephone, asterisk, freeswitch, twilio",
        ),
        (9, "effective_from: must be an RFC 3339 time such as 2026-11-02T09:00:00Z"),
        (9, "meeting_type: must be one of scheduled, adHoc"),
        (10, "effective_to: must lie after effective_from"),
        (11, "key: must have at most 250 characters"),
    ]


def test_a_directory_without_rows_or_without_its_columns_is_refused() -> None:
    assert faults() == [(1, "the directory has no rows")]
    (missing,) = faults("tenant,contoso", header="kind,organization_id")
    assert missing == (1, "column key is missing; there are: kind, organization_id")


def test_columns_that_say_nothing_may_be_absent() -> None:
    entries = directory(f"number,{NUMBER},tollDialIn", header="kind,key,leg_type")
    found = number(entries, JUNE)
    assert found is not None
    assert found.leg_type is LegType.TOLL_DIAL_IN


def test_a_row_holds_from_its_first_instant_until_before_its_last() -> None:
    entries = directory(
        f"number,{NUMBER},,,tollDialIn,adele,,,,2026-06-01T00:00:00Z",
        f"number,{NUMBER},,,tollDialIn,alex,,,2026-06-01T00:00:00Z,2026-07-01T00:00:00Z",
    )
    organizers = [
        found and found.organizer_id
        for found in (
            number(entries, at) for at in (datetime(2026, 5, 31, 23, tzinfo=UTC), JUNE, JULY)
        )
    ]
    assert organizers == ["adele", "alex", None]


@pytest.mark.parametrize("first", ["2026-06-01T00:00:00Z,", ",", ",2026-07-01T00:00:00Z"])
def test_two_periods_of_one_key_and_source_must_not_overlap(first: str) -> None:
    rows = [
        f"number,{NUMBER},,,tollDialIn,,,,{first}",
        f"number,{NUMBER},,,tollDialIn,,,,2026-06-15T00:00:00Z,2026-06-16T00:00:00Z",
        f"number,{NUMBER},twilio,,tollDialIn,,,,,",
        f"number,{NUMBER},,,tollDialIn,,,,2026-06-20T00:00:00Z,2026-06-21T00:00:00Z",
    ]
    assert [line for line, _ in faults(*rows)] == [3, 5]


def test_keys_that_are_one_guid_in_another_case_overlap() -> None:
    guid = "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"
    assert faults(f"tenant,{guid},,a,,,,,,", f"tenant,{guid.upper()},,b,,,,,,") == [
        (
            3,
            "its effective period overlaps that of line 2, which has the same kind, key and "
            "source: delete one of them, or end the earlier one where the later begins",
        )
    ]


def test_the_row_of_a_source_goes_before_that_of_its_family_and_of_any() -> None:
    entries = directory(
        f"number,{NUMBER},,,tollDialIn,any,,,,",
        f"number,{NUMBER},asterisk,,tollDialIn,family,,,,",
        f"number,{NUMBER},asterisk-ami,,tollDialIn,source,,,,",
    )
    organizers = [
        found and found.organizer_id
        for found in (
            number(entries, JUNE, source)
            for source in ("asterisk-ami", "asterisk-csv", "chime-sma")
        )
    ]
    assert organizers == ["source", "family", "any"]


def test_what_means_nothing_for_a_kind_is_ignored() -> None:
    assert len(directory("user,host-1,,contoso,dialOut,adele,,,,").entries) == 1
