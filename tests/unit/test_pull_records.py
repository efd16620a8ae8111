"""`perminute calls pull graph-pstn`: files that `calls convert` reads, and the errors of users."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from graph_stub import CLIENT_ID, CLIENT_SECRET, TENANT, Answer, GraphStub
from graph_stub import graph_stub as serve
from pulled_calls import row

from perminute_local.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "graph-pstn-20261101T000000Z-20261201T000000Z"
NOVEMBER = ("--from", "2026-11-01", "--to", "2026-12-01")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphStub]:
    monkeypatch.setenv("GRAPH_CLIENT_SECRET", CLIENT_SECRET)
    with serve(monkeypatch) as stub:
        yield stub


@pytest.fixture
def pull(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*options: str) -> tuple[int, str, str]:
        who = ["--tenant", TENANT, "--client-id", CLIENT_ID, "--into", str(tmp_path / "records")]
        code = main(["calls", "pull", "graph-pstn", *who, *options])
        shown = capsys.readouterr()
        assert CLIENT_SECRET not in shown.out + shown.err
        return code, shown.out.replace(f"{tmp_path}/", ""), shown.err

    return run


def files(tmp_path: Path) -> dict[str, int]:
    return {
        path.name: len(json.loads(path.read_bytes())["value"])
        for path in (tmp_path / "records").iterdir()
    }


def test_each_page_becomes_a_file_that_is_converted(
    stub: GraphStub, pull: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answers += [
        stub.page([row("call-1"), row("call-2")], next_link="/v1.0/more?$skip=2"),
        stub.page([row("call-3")]),
    ]
    assert pull(*NOVEMBER) == (
        0,
        f"records/{NAME}-0001.json\nrecords/{NAME}-0002.json\n",
        "3 records in 2 files\n",
    )
    assert files(tmp_path) == {f"{NAME}-0001.json": 2, f"{NAME}-0002.json": 1}
    (first, _) = stub.targets
    assert first == (
        "/v1.0/communications/callRecords/getPstnCalls"
        "(fromDateTime=2026-11-01T00:00:00Z,toDateTime=2026-12-01T00:00:00Z)"
    )
    (tmp_path / "directory.csv").write_text(
        f"kind,key,organization_id,leg_type\ntenant,{TENANT},contoso,\n"
        "number,+12065550100,,tollDialIn\n"
    )
    convert = ["calls", "convert", "--from", "graph-pstn", "--tenant", TENANT, "--directory"]
    pages = [str(path) for path in sorted((tmp_path / "records").iterdir())]
    assert main([*convert, str(tmp_path / "directory.csv"), *pages]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_period_that_is_pulled_again_replaces_its_files(
    stub: GraphStub, pull: Any, tmp_path: Path
) -> None:
    stub.answers += [stub.page([row("a")], next_link="/v1.0/2"), stub.page([row("b")])]
    pull(*NOVEMBER)
    (tmp_path / "records" / "other.json").write_text('{"value": []}')
    stub.answers += [stub.page([row("a"), row("b")])]
    assert pull(*NOVEMBER)[0] == 0
    assert files(tmp_path) == {f"{NAME}-0001.json": 2, "other.json": 0}


def test_more_than_90_days_are_asked_for_in_parts(stub: GraphStub, pull: Any) -> None:
    stub.answers += [stub.page([])] * 3
    code, out, err = pull("--from", "2026-01-01", "--to", "2026-07-01T12:00:00Z", "--json")
    assert (code, json.loads(out), err) == (
        0,
        {"files": [], "records": 0},
        "0 records in 0 files\n",
    )
    assert [target.partition("(")[2] for target in stub.targets] == [
        "fromDateTime=2026-01-01T00:00:00Z,toDateTime=2026-04-01T00:00:00Z)",
        "fromDateTime=2026-04-01T00:00:00Z,toDateTime=2026-06-30T00:00:00Z)",
        "fromDateTime=2026-06-30T00:00:00Z,toDateTime=2026-07-01T12:00:00Z)",
    ]


def test_what_came_before_an_error_is_there(stub: GraphStub, pull: Any, tmp_path: Path) -> None:
    stub.answers += [
        stub.page([row("call-1")], next_link="/v1.0/more"),
        Answer({"error": {"code": "Forbidden"}}, 403),
    ]
    code, out, err = pull(*NOVEMBER)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "1 record in 1 file",
        "perminute: Graph refused: status 403, Forbidden",
    ]
    assert files(tmp_path) == {f"{NAME}-0001.json": 1}


def test_the_secret_may_be_in_a_file(
    stub: GraphStub, pull: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAPH_CLIENT_SECRET")
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + CLIENT_SECRET.encode() + b"\r\n")
    stub.answers += [stub.page([])]
    assert pull(*NOVEMBER, "--secret-file", str(tmp_path / "secret"))[0] == 0
    assert b"not-a-real~secret&" in stub.logins[0].body + b"&"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--secret-env", "NO_SUCH"), "the environment variable NO_SUCH is not set; it must"),
        (("--secret-env", "TWO_LINES"), "TWO_LINES must be the value of a client secret, in one"),
        (("--secret-file", "/dev/null"), "/dev/null must be the value of a client secret"),
        (("--secret-file", "no-such"), "no-such: No such file or directory"),
        (("--secret-env", "A", "--secret-file", "b"), "by --secret-env or by --secret-file, not"),
        (("--to", "2026-11-01"), "--to must be later than --from"),
        (("--tenant", "a b"), "--tenant: must be the tenant's GUID"),
        (("--client-id", "me"), "--client-id: must be the application (client) id, a GUID"),
        (("--cloud", "usgov"), "Did you mean 'usGov'?"),
    ],
)
def test_what_the_user_can_mend_is_said(
    stub: GraphStub, pull: Any, monkeypatch: pytest.MonkeyPatch, options: Any, why: str
) -> None:
    monkeypatch.setenv("TWO_LINES", f"{CLIENT_SECRET}\n2")
    code, _, err = pull(*NOVEMBER, *options)
    assert code == 2
    assert why in err
    assert stub.logins == []
