"""What becomes of Asterisk's call detail records: rows of a file, and events of the manager."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from stated_calls import converted, directory

from perminute.sources import asterisk_channels
from perminute.sources.outcomes import Leg, Outcome, Result
from perminute.sources.stated_call import SourceOptions

BERLIN = ZoneInfo("Europe/Berlin")
DIRECTORY = directory(
    "tenant,pbx,contoso,,,,",
    "number,+12065550100,,tollDialIn,lee,,",
    "conference,board,contoso,,adele,b1,adHoc",
)
MADE = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def shown(at: datetime | None) -> str:
    return at.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def cdr(
    made: datetime = MADE,
    start: float = 0,
    answer: float | None = 2,
    end: float = 62,
    number: int = 1,
    **changes: str,
) -> dict[str, str]:
    """A record of a dial-in to a room; times in seconds after the channel was made."""
    answered_at = None if answer is None else made + seconds(answer)
    return {
        "AccountCode": "pbx",
        "Source": "+4930901820",
        "Destination": "+12065550100",
        "DestinationContext": "from-trunk",
        "CallerID": '"Lee: ""L""" <+4930901820>',
        "Channel": "PJSIP/trunk-00000001",
        "DestinationChannel": "",
        "LastApplication": "ConfBridge",
        "LastData": "board,default_bridge",
        "StartTime": shown(made + seconds(start)),
        "AnswerTime": shown(answered_at),
        "EndTime": shown(made + seconds(end)),
        "Duration": str(int(end - start)),
        "BillableSeconds": str(int(end - answer)) if answer is not None else "0",
        "Disposition": "ANSWERED",
        "AMAFlags": "DOCUMENTATION",
        "UniqueID": f"pbx1-{int(made.timestamp())}.{number}",
        "UserField": "",
    } | changes


def read(*records: dict[str, str], zone: ZoneInfo | None = BERLIN) -> list[Outcome]:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(record.values() for record in records)
    options = SourceOptions(timezone=zone)
    return converted("asterisk-csv", text.getvalue().encode(), of=DIRECTORY, options=options)


def result_of(record: dict[str, str], **options: Any) -> Result:
    [outcome] = read(record, **options)
    return outcome.result


def leg(result: Result) -> Leg:
    assert isinstance(result, Leg), result
    return result


def reason(result: Result) -> str:
    return "" if isinstance(result, Leg) else result.reason


def reasons(outcomes: list[Outcome]) -> list[str]:
    return [reason(outcome.result) for outcome in outcomes]


def test_a_row_is_a_call_of_the_room() -> None:
    call = leg(result_of(cdr()))
    assert (call.organizer_id, call.meeting_id, call.meeting_type) == ("adele", "b1", "adHoc")
    assert (call.service_number, call.remote_number) == ("+12065550100", "+4930901820")
    assert (call.answered_at, call.ended_at) == (MADE + seconds(2), MADE + seconds(62))
    assert call.billable_seconds == 60


def test_a_room_that_the_directory_does_not_have_is_the_meeting() -> None:
    call = leg(result_of(cdr(LastData="lobby")))
    assert (call.organizer_id, call.meeting_id) == ("lee", "lobby")


OUT = "organizerId=lee&meetingId=m%3B1&legType=dialOut&remoteNumber=%2B44770090018"
BEYOND_ALL_TIME = {
    "StartTime": "9999-12-31 23:59:59",
    "AnswerTime": "9999-12-31 23:59:59",
    "Duration": "86400",
    "UniqueID": "ours-1",
}


@pytest.mark.parametrize("others", ["", ";organizerId=adele&remoteNumber=%2B1"])
def test_the_userfield_of_the_channel_makes_it_a_dial_out(others: str) -> None:
    record = cdr(UserField=OUT + others, LastApplication="AppDial2", Source="001 206 555-0100")
    call = leg(result_of(record | {"Destination": "s"}))
    assert (call.leg_type, call.organizer_id, call.meeting_id) == ("dialOut", "lee", "m;1")
    assert (call.service_number, call.remote_number) == ("+12065550100", "+44770090018")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"UniqueID": ""}, "notACallRecord"),
        ({"LastApplication": "Playback"}, "notConference"),
        ({"LastData": ""}, "notConference"),
        ({"LastData": ",default_bridge"}, "notConference"),
        ({"LastApplication": "Dial", "UserField": "ticket=1"}, "notConference"),
        ({"LastApplication": "Dial", "UserField": f";{OUT}"}, "notConference"),
        ({"Source": "sip:lee@example.com"}, "notPhone"),
        ({"UserField": "legType=callOut"}, "unknownCallType"),
        ({"UserField": "meetingType=weekly"}, "unknownCallType"),
        ({"StartTime": "2026-11-03T10:00:00"}, "invalidTime"),
        ({"StartTime": "2026-11-31 10:00:00"}, "invalidTime"),
        ({"StartTime": ""}, "invalidTime"),
        (BEYOND_ALL_TIME, "invalidTime"),
        ({"AnswerTime": "10:00"}, "invalidTime"),
        ({"AnswerTime": ""}, "invalidTime"),
        ({"Duration": ""}, "invalidDuration"),
        ({"BillableSeconds": "x"}, "invalidDuration"),
        ({"Duration": "86401"}, "tooLong"),
        ({"Duration": "1"}, "endBeforeStart"),
        ({"AccountCode": "other"}, "unknownTenant"),
        ({"Destination": "1002"}, "unknownServiceNumber"),
        ({"UserField": "legType=dialOut"}, "invalidNumber"),
    ],
)
def test_a_row_that_is_no_call_says_why(changes: dict[str, str], expected: str) -> None:
    assert reason(result_of(cdr() | changes)) == expected


def test_a_row_without_a_time_zone_is_no_call() -> None:
    assert reason(result_of(cdr(), zone=None)) == "invalidTime"


def test_a_call_that_was_not_answered_has_no_seconds() -> None:
    call = leg(result_of(cdr(answer=None)))
    assert (call.answered_at, call.billable_seconds) == (None, 0)


def test_an_answer_of_less_than_a_second_is_one() -> None:
    call = leg(result_of(cdr(answer=62, end=62)))
    assert (call.answered_at, call.billable_seconds) == (MADE + seconds(62), 0)


# Clocks of Berlin show 02:00 to 03:00 twice: from 00:00 and from 01:00 UTC.
@pytest.mark.parametrize("hour", [0, 1])
@pytest.mark.parametrize("late", [-2, 0, 30, 700])
def test_of_the_hour_that_clocks_show_twice_the_one_after_the_channel_is_meant(
    hour: int, late: int
) -> None:
    made = datetime(2026, 10, 25, hour, 10, tzinfo=UTC)
    call = leg(result_of(cdr(made, start=late, answer=late + 5, end=3600)))
    assert (call.answered_at, call.ended_at) == (made + seconds(late + 5), made + seconds(3600))


def test_a_call_may_be_answered_after_clocks_were_put_back() -> None:
    made = datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC)
    call = leg(result_of(cdr(made, answer=20, end=80)))
    assert (call.answered_at, call.ended_at) == (made + seconds(20), made + seconds(80))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Lisbon", "Europe/Athens", "Asia/Kathmandu"])
def test_a_wrong_time_zone_is_found_in_either_direction(zone: str) -> None:
    assert reason(result_of(cdr(), zone=ZoneInfo(zone))) == "timezoneMismatch"


@pytest.mark.parametrize(
    ("zone", "made"),
    [
        ("Asia/Kolkata", "2026-11-03 09:00:00"),
        ("Asia/Kathmandu", "2026-11-03 09:15:00"),
    ],
)
def test_zones_that_differ_by_a_quarter_of_an_hour_are_told_apart(zone: str, made: str) -> None:
    at = datetime.fromisoformat(f"{made}+00:00")
    local = "2026-11-03 14:45:00"
    record = cdr(StartTime=local, AnswerTime=local, UniqueID=f"{int(at.timestamp())}.1")
    assert reason(result_of(record, zone=ZoneInfo(zone))) == "timezoneMismatch"


def test_a_time_that_clocks_left_out_is_of_another_zone() -> None:
    made = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    record = cdr(made, StartTime="2026-03-29 02:30:00", AnswerTime="2026-03-29 03:30:02")
    assert reason(result_of(record)) == "timezoneMismatch"
    record = cdr(made, AnswerTime="2026-03-29 02:30:00")
    assert reason(result_of(record)) == "timezoneMismatch"


def test_without_an_epoch_in_its_id_a_time_must_be_shown_once() -> None:
    assert leg(result_of(cdr(UniqueID="ours-1"))).ended_at == MADE + seconds(62)
    made = datetime(2026, 10, 25, 0, 10, tzinfo=UTC)
    assert reason(result_of(cdr(made, UniqueID="ours-1"))) == "invalidTime"


def test_rows_of_one_channel_are_one_call_from_its_first_answer_to_its_last_end() -> None:
    other = cdr(number=2)
    rows = [cdr(answer=2, end=62), other, cdr(start=30, answer=30, end=1800), cdr(Source="1")]
    outcomes = read(*rows)
    assert reasons(outcomes) == ["", "", "mergedLeg", "mergedLeg"]
    call = leg(outcomes[0].result)
    assert (call.answered_at, call.ended_at) == (MADE + seconds(2), MADE + seconds(1800))
    assert (call.billable_seconds, call.remote_number) == (1798, "+4930901820")


def test_a_channel_that_was_answered_late_is_answered_then() -> None:
    outcomes = read(cdr(answer=None, end=20), cdr(start=20, answer=21, end=80))
    call = leg(outcomes[0].result)
    assert (call.answered_at, call.billable_seconds) == (MADE + seconds(21), 59)
    outcomes = read(cdr(answer=None, end=20), cdr(start=20, answer=None, end=80))
    call = leg(outcomes[0].result)
    assert (call.answered_at, call.billable_seconds) == (None, 0)


def test_a_row_that_is_there_twice_is_a_duplicate_and_adds_nothing() -> None:
    # The seconds are the provider's, and not those between answer and end.
    row = cdr(BillableSeconds="61")
    outcomes = read(row, row)
    assert reasons(outcomes) == ["", "duplicate"]
    assert leg(outcomes[0].result).billable_seconds == 61
    rows = [cdr(end=62), cdr(start=30, answer=30, end=90)]
    assert reasons(read(*rows, *rows)) == ["", "mergedLeg", "duplicate", "duplicate"]


def test_what_comes_long_after_its_channel_conflicts_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asterisk_channels, "MAX_WAITING", 3)
    others = [cdr(number=number) for number in range(2, 6)]
    rows = [cdr(), cdr(start=1, end=90), *others, cdr(start=2, end=100)]
    assert reasons(read(*rows)) == ["", "mergedLeg", "", "", "", "", "conflict"]


def test_in_a_wrong_zone_no_row_of_a_channel_is_a_call() -> None:
    outcomes = read(cdr(), cdr(start=30, answer=30, end=90), zone=ZoneInfo("UTC"))
    assert reasons(outcomes) == ["timezoneMismatch"] * 2


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([], "notACallRecord"),
        (["pbx1-1793696400.1"], ""),
        (["organizerId=lee"], "notACallRecord"),
        (["pbx1-1793696400.1", "organizerId=lee"], ""),
        (["", "pbx1-1793696400.1", "7"], "notACallRecord"),
        (["pbx1-1793696400.1", "", "pbx1-1793696400.1", "7"], ""),
        (["pbx1-1793696400.1", "", "", "pbx1-1793696400.1", "7"], ""),
        (["pbx1-1793696400.1", "", "", "pbx1-1793696400.1", "7", ""], "notACallRecord"),
    ],
)
def test_settings_of_asterisk_say_how_many_columns_there_are(
    columns: list[str], expected: str
) -> None:
    record = dict(list(cdr().items())[:16]) | {str(n): cell for n, cell in enumerate(columns)}
    assert reason(result_of(record)) == expected


def test_a_row_that_is_cut_anywhere_is_no_other_call() -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(
        record.values() for record in (cdr(), cdr(UserField=OUT, number=2))
    )
    content, options = text.getvalue().encode(), SourceOptions(timezone=BERLIN)
    first, last = converted("asterisk-csv", content, of=DIRECTORY, options=options)
    assert reasons([first, last]) == ["", ""]
    for place in range(content.index(b"\r\n") + 3, len(content)):
        _, cut = converted("asterisk-csv", content[:place], of=DIRECTORY, options=options)
        assert reason(cut.result) == "notACallRecord" or cut.result == last.result


def events(*records: dict[str, str]) -> bytes:
    texts = ({"Event": "Cdr", "Privilege": "cdr,all"} | record for record in records)
    blocks = ("".join(f"{key}: {text[key]}\r\n" for key in text) for text in texts)
    return b"Asterisk Call Manager/9.0.0\r\n" + "\r\n".join([*blocks, ""]).encode()


def read_events(content: bytes) -> list[Outcome]:
    return converted("asterisk-ami", content, of=DIRECTORY, options=SourceOptions(timezone=BERLIN))


def test_an_event_is_the_same_call_as_its_row() -> None:
    records = [cdr(), cdr(answer=None, number=2), cdr(number=3, UserField=OUT)]
    by_event, by_row = read_events(events(*records)), read(*records)
    assert [outcome.result for outcome in by_event] == [outcome.result for outcome in by_row]
    assert [outcome.at for outcome in by_event] == ["file-0#1", "file-0#2", "file-0#3"]


def test_other_events_are_not_counted() -> None:
    other = b"Event: Hangup\r\nUniqueid: 1.1\r\n\r\n\r\n"
    content = other + events(cdr()) + other + events(cdr(number=2)) + other
    assert reasons(read_events(content)) == ["", ""]


@pytest.mark.parametrize("content", [b"\xff\xfeE\0v\0e\0n\0t\0", b'"pbx","1"\n', b"no: event\n"])
def test_a_file_that_is_no_session_does_not_vanish(content: bytes) -> None:
    assert reasons(read_events(content)) == ["notACallRecord"]


def test_a_session_without_records_is_none() -> None:
    for content in (b"", b"\r\n", b"Response: Success\r\n\r\n", b"Event: Hangup\r\n\r\n"):
        assert read_events(content) == []


def test_rows_in_utf_16_are_damaged_and_not_calls_outside_of_rooms() -> None:
    content = io.StringIO()
    csv.writer(content, quoting=csv.QUOTE_ALL).writerow(cdr().values())
    options = SourceOptions(timezone=BERLIN)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        encoded = (content.getvalue() * 3).encode(encoding)
        outcomes = converted("asterisk-csv", encoded, of=DIRECTORY, options=options)
        assert set(reasons(outcomes)) == {"notACallRecord"}


def test_an_event_that_is_cut_anywhere_is_no_other_call() -> None:
    whole = events(cdr(UserField=OUT))
    [outcome] = read_events(whole)
    for place in range(len(whole)):
        for cut in read_events(whole[:place]):
            assert reason(cut.result) == "notACallRecord" or cut.result == outcome.result


def test_a_line_that_is_too_long_does_not_end_its_event() -> None:
    content = events(cdr(CallerID="L" * 200_000))
    assert reasons(read_events(content)) == [""]
