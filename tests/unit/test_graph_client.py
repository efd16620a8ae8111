"""The client of Microsoft Graph against one that misbehaves in each way."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from graph_stub import CLIENT_ID, CLIENT_SECRET, TENANT, Answer, GraphStub, Pauses, client_of
from graph_stub import graph_stub as serve

from perminute.adapters import graph
from perminute.adapters.graph import MAX_ATTEMPTS, MAX_PAUSE_SECONDS, GraphHosts
from perminute.adapters.graph_credentials import GraphCredentials, read_graph_credentials
from perminute.domain.errors import Unavailable
from perminute.ports.graph import GraphLinkExpired, GraphPage, GraphRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "/v1.0/things"
REFUSED_TOKEN = Answer({"error": {"code": "InvalidAuthenticationToken"}}, 401)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphStub]:
    with serve(monkeypatch) as stub:
        yield stub


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


def read(pauses: Pauses, **options: Any) -> list[GraphPage]:
    with client_of(pauses) as client:
        return list(client.pages(PLACE, **options))


def test_all_pages_are_read_with_one_login(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [
        stub.page([{"n": 1}, {"n": 2}], next_link=f"{PLACE}?$skip=2"),
        stub.page([], next_link=f"{PLACE}?$skip=3"),
        stub.page([{"n": 3}], delta_link=f"{PLACE}?$deltatoken=x"),
    ]
    assert read(pauses, headers={"Prefer": "odata.maxpagesize=2"}) == [
        GraphPage((b'{"n": 1}', b'{"n": 2}'), next_link=f"{stub.url}{PLACE}?$skip=2"),
        GraphPage((), next_link=f"{stub.url}{PLACE}?$skip=3"),
        GraphPage((b'{"n": 3}',), f"{stub.url}{PLACE}?$deltatoken=x"),
    ]
    assert stub.targets == [PLACE, f"{PLACE}?$skip=2", f"{PLACE}?$skip=3"]
    assert {question.headers["Prefer"] for question in stub.questions} == {"odata.maxpagesize=2"}
    (login,) = stub.logins
    assert login.target == f"/{TENANT}/oauth2/v2.0/token"
    assert parse_qs(login.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT_ID],
        "client_secret": [CLIENT_SECRET],
        "scope": [f"{stub.url}/.default"],
    }


def test_items_are_what_graph_wrote_to_the_last_digit(stub: GraphStub, pauses: Pauses) -> None:
    row = b'{"charge":0.1000000000000000055511151231257827,"id":"\\u00e4 1e400"}'
    stub.answers += [Answer(b'{"value": [' + row + b" ]}")]
    (page,) = read(pauses)
    assert page.items == (row,)
    assert page.content == b'{"value":[' + row + b"]}\n"


def test_a_link_of_graph_is_read_as_it_is(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [stub.page([1])]
    with client_of(pauses) as client:
        assert list(client.pages(f"{stub.url}{PLACE}?$deltatoken=a%2Fb")) == [GraphPage((b"1",))]
    assert stub.targets == [f"{PLACE}?$deltatoken=a%2Fb"]


def test_a_throttled_page_is_asked_for_when_graph_says(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [
        Answer(status=429, headers={"Retry-After": "17"}),
        Answer(status=503, headers={"Retry-After": "40"}),
        Answer(status=504),
        stub.page([1]),
    ]
    assert read(pauses) == [GraphPage((b"1",))]
    assert pauses.slept == [17, 40, 4]


def test_a_date_to_wait_for_is_understood(stub: GraphStub, pauses: Pauses) -> None:
    dates = ("Sun, 01 Nov 2026 10:00:30 GMT", "Sun, 01 Nov 2026 09:00:00 GMT", "in a moment")
    stub.answers += [Answer(status=429, headers={"Retry-After": date}) for date in dates]
    stub.answers += [stub.page([1])]
    client = graph.GraphClient(
        GraphCredentials(TENANT, CLIENT_ID, CLIENT_SECRET),
        sleep=pauses.sleep,
        clock=pauses.clock,
        now=lambda: datetime(2026, 11, 1, 10, tzinfo=UTC),
    )
    assert list(client.pages(PLACE)) == [GraphPage((b"1",))]
    client.close()
    assert pauses.slept == [30, 0, 4]


def test_no_pause_is_longer_than_the_time_left(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [Answer(status=429, headers={"Retry-After": "60"})]
    with pytest.raises(Unavailable, match=r"^Graph answered 429; there is no time to wait 60 s"):
        read(pauses, until=pauses.now + 60)
    assert pauses.slept == []


def test_nor_longer_than_anybody_waits(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [Answer(status=429, headers={"Retry-After": f"{MAX_PAUSE_SECONDS + 1}"})]
    with pytest.raises(Unavailable, match=r"there is no time to wait 301 s"):
        read(pauses)
    assert pauses.slept == []


def test_nothing_is_asked_when_time_is_over(stub: GraphStub, pauses: Pauses) -> None:
    with pytest.raises(Unavailable, match=r"^no time was left to ask Graph$"):
        read(pauses, until=pauses.now)
    assert stub.logins == []


def test_a_graph_that_keeps_failing_is_given_up(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [Answer(status=503)] * MAX_ATTEMPTS
    with pytest.raises(Unavailable, match=r"^Graph answered 503, 6 times in a row$"):
        read(pauses)
    assert pauses.slept == [1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    "broken",
    [
        Answer(b'{"value": [{"n": 1}'),
        Answer(b'{"value": [{"n": 1}]}', cut_after=12),
        Answer(b'{"value": [{"n": 1}]}', cut_after=0),
        Answer(b"<html>Sign in to the network</html>", content_type="text/html"),
        Answer(b'{"value": {"n": 1}}'),
        Answer(b'{"n": 1}'),
        Answer(b"[]"),
        Answer(b"\xff\xfe"),
        Answer(b"[" * 100_000),
        Answer(b'{"value": [], "@odata.nextLink": 7}'),
    ],
    ids=lambda broken: f"{broken.content[:20]}{broken.cut_after}",
)
def test_a_broken_page_is_asked_for_again(stub: GraphStub, pauses: Pauses, broken: Answer) -> None:
    stub.answers += [broken, stub.page([{"n": 1}])]
    assert read(pauses) == [GraphPage((b'{"n": 1}',))]
    assert pauses.slept == [1]


def test_a_broken_page_that_stays_broken_is_an_error(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [stub.page([1], next_link=f"{PLACE}?2")]
    stub.answers += [Answer(b'{"value": [')] * MAX_ATTEMPTS
    with client_of(pauses) as client:
        pages = client.pages(PLACE)
        assert next(pages).items == (b"1",)
        with pytest.raises(Unavailable, match=r"than what was asked for"):
            next(pages)


def test_a_list_that_leads_to_itself_ends(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [stub.page([1], next_link=PLACE)] * 2
    with pytest.raises(Unavailable, match=r"a page again that was read before, after 1 pages"):
        read(pauses)
    assert stub.targets == [PLACE]


def test_a_list_that_leads_to_an_earlier_page_ends(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [
        stub.page([1], next_link=f"{PLACE}?2"),
        stub.page([2], next_link=f"{PLACE}?3"),
        stub.page([3], next_link=f"{PLACE}?2"),
    ]
    with pytest.raises(Unavailable, match=r"a page again that was read before, after 3 pages"):
        read(pauses)
    assert len(stub.questions) == 3


def test_a_list_without_an_end_ends(
    stub: GraphStub, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "MAX_PAGES", 3)
    stub.answers += [stub.page([n], next_link=f"{PLACE}?{n}") for n in range(9)]
    with pytest.raises(Unavailable, match=r"more than 3 pages"):
        read(pauses)
    assert len(stub.questions) == 3


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://graph.example.com/v1.0/things",
        "https://127.0.0.1/v1.0/things",
        "//graph.example.com/v1.0/things",
        "v1.0/things?2",
        "file:///etc/hosts",
        "http://[",
        "",
    ],
)
def test_the_token_goes_to_no_other_host(stub: GraphStub, pauses: Pauses, elsewhere: str) -> None:
    stub.answers += [stub.page([1])]
    document = {"value": [1], "@odata.nextLink": elsewhere}
    stub.answers[0] = Answer(document)
    with pytest.raises(Unavailable, match=r"names a page that is not at http://127"):
        read(pauses)
    assert stub.targets == [PLACE]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://graph.microsoft.com/v1.0/things",
        "https://graph.microsoft.com:8443/v1.0/things",
        "https://user@graph.microsoft.com/v1.0/things",
        "https://graph.microsoft.com.example.com/v1.0/things",
        "https://graph.microsoft.com\\@example.com/v1.0/things",
        "https://graph.microsoft.com@example.com/",
        "https://gra\tph.microsoft.com/v1.0/things",
        " https://graph.microsoft.com/v1.0/things",
        "https://graph.microsoft.us/v1.0/things",
    ],
)
def test_another_scheme_port_or_user_is_another_host(pauses: Pauses, elsewhere: str) -> None:
    with (
        client_of(pauses) as client,
        pytest.raises(Unavailable, match=r"is not at https://graph\.microsoft\.com;"),
    ):
        next(client.pages(elsewhere))


def test_no_redirection_is_followed(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [Answer(status=302, headers={"Location": f"{stub.url}/elsewhere"})]
    with pytest.raises(GraphRefused, match=r"^Graph refused: status 302$"):
        read(pauses)
    assert stub.targets == [PLACE]


def test_an_expired_token_is_renewed_once(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [
        stub.page([1], next_link=f"{PLACE}?2"),
        REFUSED_TOKEN,
        stub.page([2]),
    ]
    assert [page.items for page in read(pauses)] == [(b"1",), (b"2",)]
    tokens = [question.headers["Authorization"] for question in stub.questions]
    assert tokens == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


def test_a_new_token_that_is_refused_is_an_error(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [REFUSED_TOKEN] * 2
    with pytest.raises(GraphRefused) as refused:
        read(pauses)
    assert str(refused.value) == "Graph refused: status 401, InvalidAuthenticationToken"
    assert len(stub.logins) == 2


def test_a_token_is_renewed_before_it_ends(stub: GraphStub, pauses: Pauses) -> None:
    stub.expires_in = 600
    stub.answers += [stub.page([1], next_link=f"{PLACE}?2"), stub.page([2])]
    with client_of(pauses) as client:
        for _ in client.pages(PLACE):
            pauses.sleep(600 - 120)
    assert len(stub.logins) == 2


def test_a_login_that_is_down_is_tried_again(stub: GraphStub, pauses: Pauses) -> None:
    stub.login_answers += [Answer(status=503), Answer(b"<html>", content_type="text/html")]
    stub.answers += [stub.page([1])]
    assert read(pauses) == [GraphPage((b"1",))]
    assert pauses.slept == [1, 2]


def test_a_login_that_stays_down_is_given_up(stub: GraphStub, pauses: Pauses) -> None:
    stub.login_answers += [Answer(status=500)] * MAX_ATTEMPTS
    with pytest.raises(Unavailable, match=r"^Microsoft's login answered 500, 6 times in a row$"):
        read(pauses)


def test_nobody_listening_is_an_error(pauses: Pauses, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://127.0.0.1:9"
    monkeypatch.setitem(graph.CLOUDS, "global", GraphHosts(nowhere, nowhere))
    with pytest.raises(Unavailable, match=r"login did not answer as it should \(NewConnection"):
        read(pauses)


def test_an_expired_secret_is_named(stub: GraphStub, pauses: Pauses) -> None:
    error = {
        "error": "invalid_client",
        "error_description": "AADSTS7000222: The provided client secret keys are expired.",
        "error_codes": [7000222],
    }
    stub.login_answers += [Answer(error, 401)]
    with pytest.raises(GraphRefused) as refused:
        read(pauses)
    assert str(refused.value) == (
        "Microsoft's login refused: status 401, invalid_client AADSTS7000222: "
        "the client secret has expired: make a new one and store it"
    )
    assert pauses.slept == []


def test_a_missing_permission_is_named(stub: GraphStub, pauses: Pauses) -> None:
    stub.answers += [Answer({"error": {"code": "Forbidden", "message": "…"}}, 403)]
    with pytest.raises(GraphRefused) as refused:
        read(pauses)
    assert (refused.value.status, refused.value.code) == (403, "Forbidden")


@pytest.mark.parametrize(
    "content",
    [
        {"error": {"code": f"\x1b[2J {CLIENT_SECRET}"}},
        {"error": CLIENT_SECRET},
        {"error": {"code": ["Forbidden"]}},
        {"error": None},
        [],
        b"<html>",
        b"",
    ],
)
def test_no_refusal_repeats_what_is_no_code(stub: GraphStub, pauses: Pauses, content: Any) -> None:
    stub.answers += [Answer(content, 403)]
    with pytest.raises(GraphRefused, match=r"^Graph refused: status 403$"):
        read(pauses)


def test_a_delta_that_has_expired_is_told_from_other_refusals(
    stub: GraphStub, pauses: Pauses
) -> None:
    stub.answers += [Answer({"error": {"code": "resyncRequired"}}, 410)]
    with pytest.raises(GraphLinkExpired, match="resyncRequired"):
        read(pauses)


def test_a_page_that_is_too_large_is_not_read_to_its_end(
    stub: GraphStub, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "MAX_PAGE_BYTES", 1024**2)
    stub.answers += [Answer(b" " * 65536, endless=True)]
    with pytest.raises(Unavailable, match=r"^Graph's answer is larger than 1 MB$"):
        read(pauses)


def test_an_answer_that_comes_in_drops_is_given_up(
    stub: GraphStub, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(1000.0)
    stub.answers += [Answer(b" ", endless=True)]
    # Each look at the clock takes a second.
    monkeypatch.setattr(pauses, "clock", lambda: next(seconds))
    with pytest.raises(Unavailable, match=r"^Graph's answer did not come to its end in time$"):
        read(pauses)


def test_a_graph_that_says_nothing_is_asked_again(
    stub: GraphStub, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "_READ_SECONDS", 0.05)
    stub.answers += [Answer(silent=True), stub.page([1])]
    assert read(pauses) == [GraphPage((b"1",))]
    assert pauses.slept == [1]


def secret(*entries: dict[str, Any]) -> str:
    fields = {"tenant": TENANT, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
    return json.dumps([fields | entry for entry in entries])


def test_the_secret_lists_tenants() -> None:
    other = "contoso.onmicrosoft.com"
    assert read_graph_credentials(secret({}, {"tenant": other.upper(), "cloud": "usGovDoD"})) == (
        GraphCredentials(TENANT, CLIENT_ID, CLIENT_SECRET, "global"),
        GraphCredentials(other, CLIENT_ID, CLIENT_SECRET, "usGovDoD"),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the secret of Graph is not JSON"),
        ("not-a-real~secret", "the secret of Graph is not JSON"),
        ("[]", "the secret of Graph lists no tenant"),
        ("{}", "is faulty: Expected `array`, got `object`"),
        ('[{"tenant": 1}]', "is faulty: Expected `str`, got `int` - at `$[0].tenant`"),
        ('[{"tenant": ""}]', "is faulty: Object missing required field `clientId` - at `$[0]`"),
        (secret({"password": "x"}), "Object contains unknown field `password` - at `$[0]`"),
        (
            secret({}, {"cloud": CLIENT_SECRET}),
            "is faulty: must be global, usGov, usGovDoD - at `$[1].cloud`",
        ),
        (secret({"tenant": "a/../b"}), "is faulty: [0].tenant must be the tenant's GUID"),
        (
            secret({"clientId": CLIENT_SECRET}),
            "is faulty: [0].clientId must be the application (client) id, a GUID",
        ),
        (
            secret({"clientSecret": f"{CLIENT_SECRET}\n"}),
            "[0].clientSecret must be the value of a client secret, in one line without spaces",
        ),
        (secret({}, {"tenant": TENANT.upper()}), "[1].tenant is the same as [0].tenant"),
    ],
)
def test_a_faulty_secret_is_named_and_not_repeated(text: str, why: str) -> None:
    with pytest.raises(Unavailable) as fault:
        read_graph_credentials(text)
    assert why in str(fault.value)
    assert CLIENT_SECRET not in str(fault.value)


def test_credentials_are_shown_without_their_secret() -> None:
    credentials = GraphCredentials(TENANT, CLIENT_ID, CLIENT_SECRET)
    assert f"{credentials} {credentials!r}".count(CLIENT_SECRET) == 0
