"""`perminute load`: what is sent, how it is paced and watched, and that a lost cent is seen."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.cli import main
from perminute_local.load import command, run, target
from perminute_local.load.plan import Load, Offer, Workload, offer_of
from perminute_local.load.run import Sending, run_load
from perminute_local.load.target import SENDERS, Target, is_loopback
from perminute_local.load.watching import Followed, Watch, handed_back, percentile
from perminute_local.send_events import read_line
from perminute_local.sending import MAX_ENTRIES, NotSent, Sent
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perminute.domain.rating.rate_card import RateCard
    from perminute_local.sending import Event, EventSender, Outcome

DAY = Path(__file__).parents[2] / "examples" / "day"
AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
QUICK = Load(rate=2_000, minutes=0.001, organizations=3, hot=0.5)


def card(text: str) -> RateCard:
    return read_rate_card(text.encode(), version="v")


def day_card() -> RateCard:
    return card((DAY / "rates.csv").read_text())


def workload(load: Load) -> Workload:
    return Workload("run", load, offer_of(day_card(), AT), AT)


def test_the_first_number_that_costs_something_is_called() -> None:
    assert offer_of(day_card(), AT).charge_micros == 8_500
    dear = card(
        "leg_type,prefix,country,description,currency,rate_per_minute,blocked\n"
        "tollDialIn,1,US,free,USD,0,\n"
        "tollDialIn,44,GB,blocked,GBP,,true\n"
        "dialOut,49,DE,Germany,EUR,0.02,\n"
    )
    offer = offer_of(dear, AT)
    assert (offer.number[:3], offer.country, offer.currency, offer.charge_micros) == (
        *("+49", "DE", "EUR"),
        20_000,
    )
    with pytest.raises(WrongCall, match="has no price now"):
        offer_of(card("leg_type,prefix,country,description,currency,rate_per_minute\n"
                      "tollDialIn,1,US,free,USD,0\n"), AT)  # fmt: skip


@given(
    calls=st.integers(1, 400),
    organizations=st.integers(1, 9),
    hot=st.sampled_from([0, 0.2, 0.5, 1]),
)
def test_each_balance_is_what_was_bought_less_what_its_calls_cost(
    calls: int, organizations: int, hot: float
) -> None:
    load = Load(rate=calls, minutes=1 / 60, organizations=organizations, hot=hot)
    made = workload(load)
    assert load.calls == calls
    number_of = Counter(map(made.organization_of, range(calls)))
    assert set(number_of) <= set(made.organizations)
    spent = {name: made.bought_micros - left for name, left in made.balances(calls).items()}
    assert spent == {name: number_of[name] * 8_500 for name in made.organizations}
    if organizations > 1 and hot:
        assert number_of[made.organizations[0]] == int(calls * hot)
    elif not hot:
        assert max(number_of.values()) - min(number_of.values(), default=0) <= 1


def test_every_event_is_one_that_the_functions_take() -> None:
    made = workload(QUICK)
    events = [*made.set_up(), made.call(0, AT)]
    assert [read_line(json.dumps(one).encode(), AT)["detail"] for one in events] == [
        one["detail"] for one in events
    ]
    assert {one["detail-type"] for one in events} == {
        "Organization Changed",
        "User Changed",
        "License Assigned",
        "Credits Configured",
        "Credit Purchased",
        "Call Ended",
    }


class Bank:
    """A stack that charges at once what is sent to it, but for the calls that it loses."""

    def __init__(
        self, *, loses: Sequence[int] = (), hides: Sequence[int] = (), refuses: bool = False
    ) -> None:
        self.calls: list[Event] = []
        self.refused = 0
        self._loses, self._hides, self._refuses = set(loses), set(hides), refuses
        self._balances: Counter[str] = Counter()
        self.seen: set[str] = set()

    def rate_card(self) -> RateCard:
        return day_card()

    def sender(self, events: Sequence[Event]) -> list[Outcome]:
        if self._refuses and events[0]["detail-type"] == "Call Ended":
            self.refused += 1
            return [NotSent("AccessDenied")] * len(events)
        for event in events:
            self._take(event["detail-type"], event["detail"])
        return [Sent("id")] * len(events)

    def _take(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        if detail_type == "Credit Purchased":
            self._balances[detail["organizationId"]] += round(float(detail["amount"]) * 1_000_000)
        if detail_type == "Call Ended":
            self.calls.append(detail)
            number = int(detail["callId"][-7:])
            if number not in self._loses:
                self._balances[detail["organizationId"]] -= 8_500
            if number not in self._hides:
                self.seen.add(detail["callId"])

    def charged(self) -> Any:
        return lambda calls: {one.call_id for one in calls if one.call_id in self.seen}

    def depth(self) -> int:
        return 0

    def dead_letters(self) -> int:
        return 0

    def balances(self, organizations: Sequence[str]) -> dict[str, int]:
        return {name: self._balances[name] for name in organizations}

    def books(self, organizations: Sequence[str]) -> list[Any]:
        none: Any = {"differences": (), "unavailable": None}
        return [SimpleNamespace(organization_id=name, **none) for name in organizations]

    def handed_back(self, since: datetime) -> int:
        assert since <= datetime.now(UTC)
        return 0


def loaded(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> run.Result:
    monkeypatch.setattr(run, "STANDSTILL_SECONDS", 0.5)
    monkeypatch.setattr(run, "POLL_SECONDS", 0.01)
    return run_load(cast("Target", bank), QUICK, lambda _: None)


def test_a_load_that_is_charged_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank()
    result = loaded(bank, monkeypatch)
    assert result.is_right
    assert (result.sent.calls, result.sent.refused) == (120, ())
    assert len({one["callId"] for one in bank.calls}) == len(bank.calls) == 120
    shown = "\n".join(command.lines_of(result))
    assert "sent          120 of 120 calls" in shown
    assert "3 of 3 organizations to the cent" in shown
    document = command.document_of(result)
    assert document["latencySeconds"]["calls"] == len(result.latencies) > 0


def test_a_call_that_costs_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    result = loaded(Bank(loses=[1]), monkeypatch)
    assert not result.is_right
    assert len(result.wrong_balances) == 1
    assert "has another balance" in "\n".join(command.lines_of(result))


def test_a_call_that_is_not_recorded_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first one is followed.
    result = loaded(Bank(hides=[0]), monkeypatch)
    assert not result.is_right
    assert result.wrong_balances == ()
    shown = "\n".join(command.lines_of(result))
    assert "1 of those that were followed have not been charged" in shown


def test_sending_ends_when_the_bus_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank(refuses=True)
    result = loaded(bank, monkeypatch)
    assert not result.is_right
    # Each of those that send at once has tried once.
    assert bank.refused <= SENDERS < QUICK.calls / MAX_ENTRIES
    assert result.sent.calls == 0
    assert "AccessDenied" in "\n".join(command.lines_of(result))


def test_nothing_more_is_sent_when_one_that_sends_is_interrupted() -> None:
    """Ctrl-C would else take as long as the load, and cost as much."""
    bank, load = Bank(), Load(rate=100, minutes=1, organizations=1, hot=0)
    interrupted: list[int] = []

    def sender(events: Sequence[Event]) -> list[Outcome]:
        if bank.calls and not interrupted:
            interrupted.append(len(bank.calls))
            raise KeyboardInterrupt
        return bank.sender(events)

    watch = Watch(bank.charged(), bank.depth)
    with pytest.raises(KeyboardInterrupt):
        Sending(cast("EventSender", sender), workload(load), watch).send(load)
    assert len(bank.calls) < load.calls // 2


def test_what_was_not_sent_in_its_time_is_not_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look at the clock takes a second of the six.
    seconds = iter(range(1_000_000))
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None)
    monkeypatch.setattr(run, "time", clock)
    bank, load = Bank(), Load(rate=100, minutes=0.1, organizations=1, hot=0)
    watch = Watch(bank.charged(), bank.depth)
    sender = cast("EventSender", bank.sender)
    sent = Sending(sender, workload(load), watch).send(load)
    assert 0 < sent.calls == len(bank.calls) < load.calls
    assert sorted(int(one["callId"][-7:]) for one in bank.calls) == list(range(sent.calls))


def test_how_soon_a_call_is_charged_is_counted_from_when_it_was_sent() -> None:
    charged: set[str] = set()
    now = [10.0]
    watch = Watch(
        lambda calls: charged & {one.call_id for one in calls}, lambda: 7, clock=lambda: now[0]
    )
    watch.follow(Followed("contoso", "a", 8.0))
    watch.follow(Followed("contoso", "b", 9.0))
    watch.look()
    assert (watch.latencies, watch.missing()) == ([], 2)
    charged.add("a")
    watch.look()
    now[0] = 12.5
    charged.add("b")
    watch.look()
    assert (watch.latencies, watch.missing()) == ([2.0, 3.5], 0)


def test_what_fails_while_it_looks_is_kept() -> None:
    def fails() -> int:
        msg = "no answer"
        raise OSError(msg)

    watch = Watch(lambda _: set(), fails)
    watch.start()
    watch.end()
    assert str(watch.failure) == "no answer"


def test_percentiles_are_values_that_there_were() -> None:
    assert percentile([], 50) is None
    assert percentile([3.0], 99) == 3.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.0
    hundred = [float(number) for number in range(1, 101)]
    assert (percentile(hundred, 99), percentile(hundred, 100)) == (99.0, 100.0)


def test_messages_that_went_back_are_counted_by_the_lines_of_their_batches() -> None:
    lines = [
        '{"message":"batch settled","failed":2}',
        '{"failed":3}',
        '{"accepted":9}',
        "batch settled",
        "[]",
    ]
    assert handed_back(lines) == 5


@pytest.mark.parametrize(
    ("endpoint", "here"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("https://events.us-east-1.amazonaws.com", False),
        ("http://10.0.0.7:4566", False),
        ("http://localhost.example.com", False),
    ],
)
def test_only_loopback_is_this_machine(endpoint: str, *, here: bool) -> None:
    assert is_loopback(endpoint) is here


def test_nothing_is_sent_to_aws_unless_its_costs_are_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(command, "Target", lambda _: pytest.fail("it went on"))
    assert main(["load", "--stack", "perminute-dev"]) == 2
    shown = capsys.readouterr().err
    assert "https://events.us-east-1.amazonaws.com" in shown
    assert "--yes-this-costs-money" in shown


def test_a_stage_of_customers_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "parameter", lambda *_: "prod")
    with pytest.raises(WrongCall, match="perminute-prod is a stage for customers"):
        Target("perminute-prod")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rate", "2001"], "--rate: must be at most 2000"),
        (["--minutes", "31"], "31"),
        (["--minutes", "0"], "0"),
        (["--organizations", "1001"], "--organizations: must be at most 1000"),
        (["--hot", "1.1"], "1.1"),
    ],
)
def test_a_load_has_limits(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", "--stack", "perminute-dev", *options]) == 2
    assert message in capsys.readouterr().err


def test_an_offer_is_of_a_country_so_that_the_license_covers_it() -> None:
    offer = Offer(*offer_of(day_card(), AT))
    events = list(Workload("run", QUICK, offer, AT).set_up())
    assert {one["detail"].get("country") for one in events} == {None, "US"}
