from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from advising import PRICE_MICROS, basis, changed_users, other, pooled, remarks, toll

from perminute.domain.advice import search
from perminute.domain.advice.advice import Advice, AdviceConfidence, PoolOfMonth, advise
from perminute.domain.advice.basis import AdviceBasis, MonthOfCalls

BY_THE_MINUTE = {"adele": "payPerMinute", "alex": "payPerMinute"}


def with_user(of: AdviceBasis, user_id: str, **changed: Any) -> AdviceBasis:
    user = of.users[user_id]._replace(**changed)
    return of._replace(users={**of.users, user_id: user})


class TestOneUser:
    def test_a_subscription_pays_from_the_first_micro_unit_above_its_price(self) -> None:
        calls = (toll("adele", 401), toll("alex", 400))
        advice = advise(basis(calls, adele="payPerMinute", alex="payPerMinute"))
        assert changed_users(advice) == {"adele": "subscription"}
        assert advice.current_micros == 8_010_000
        assert advice.best_micros == 8_000_000
        assert advice.subscribers == ("adele",)

    def test_of_equal_costs_the_license_stays_as_it_is(self) -> None:
        for held in ("payPerMinute", "subscription"):
            assert changed_users(advise(basis((toll("adele", 400),), adele=held))) == {}

    def test_a_subscription_that_nobody_needs_is_given_back(self) -> None:
        advice = advise(basis((toll("adele", 30),), (), (), adele="subscription"))
        assert changed_users(advice) == {"adele": "payPerMinute"}
        assert advice.best_micros == 300_000
        assert advice.pool == (PoolOfMonth(0, 0),) * 3

    def test_what_both_licenses_pay_from_credit_decides_nothing(self) -> None:
        advice = advise(basis((other("adele", 90_000_000),), adele="payPerMinute"))
        assert changed_users(advice) == {}
        assert advice.confidence is None

    def test_a_free_subscription_is_worth_it_for_one_minute(self) -> None:
        free = basis((toll("adele", 1),), price_micros=0, adele="payPerMinute")
        assert changed_users(advise(free)) == {"adele": "subscription"}

    def test_what_saves_less_than_is_asked_for_is_not_recommended(self) -> None:
        of = basis((toll("adele", 450),), adele="payPerMinute")
        for least, expected in ((500_000, {"adele": "subscription"}), (500_001, {})):
            advice = advise(of._replace(minimum_saving_micros=least))
            assert changed_users(advice) == expected
            assert advice.subscribers == tuple(expected)


class TestPool:
    def test_the_pool_pays_the_calls_that_end_first(self) -> None:
        # The dear call comes last, and gets what is left: nothing.
        cheap, dear = pooled("adele", 60, 1_000), pooled("adele", 60, 100_000)
        late = advise(basis((cheap, dear), adele="payPerMinute"))
        early = advise(basis((dear, cheap), adele="payPerMinute"))
        assert (changed_users(late), changed_users(early)) == ({}, {"adele": "subscription"})

    def test_a_call_that_straddles_the_end_pays_the_rest_with_its_fee(self) -> None:
        of = basis((pooled("adele", 61, 80_000, fee_micros=7_000),), adele="subscription")
        advice = advise(of)
        assert advice.current_micros == PRICE_MICROS + 87_000
        assert changed_users(advice) == {}

    def test_two_may_be_worth_it_together_and_none_alone(self) -> None:
        # One has dial-outs for the minutes of both, the other dial-ins that are included.
        calls = (pooled("adele", 200), toll("alex", 150))
        of = basis(calls, price_micros=3_500_000, adele="payPerMinute", alex="payPerMinute")
        advice = advise(of)
        assert changed_users(advice) == {"adele": "subscription", "alex": "subscription"}
        assert [one.saves_micros for one in advice.recommendations] == [2_500_000, 1_000_000]

    def test_one_may_be_worth_it_alone_and_two_not_together(self) -> None:
        calls = (pooled("adele", 100), pooled("alex", 160))
        holdings: dict[str, Any] = {"bundle-1": "bundle", "bundle-2": "bundle", **BY_THE_MINUTE}
        advice = advise(basis(calls, price_micros=6_000_000, **holdings))
        assert changed_users(advice) == {"alex": "subscription"}
        assert advice.subscribers == ("alex", "bundle-1", "bundle-2")
        assert advice.pool == (PoolOfMonth(180, 160),)

    def test_an_idle_user_is_not_to_subscribe_for_the_minutes(self) -> None:
        calls = (pooled("adele", 200, 320_000),)
        advice = advise(basis(calls, adele="subscription", idle="payPerMinute"))
        assert changed_users(advice) == {}
        assert remarks(advice) == [("moreMinutes", None)]
        assert advice.remarks[0].saves_micros == 60 * 320_000 - PRICE_MICROS

    def test_an_idle_subscriber_stays_if_others_need_the_minutes(self) -> None:
        calls = (pooled("adele", 120, 320_000),)
        advice = advise(basis(calls, adele="subscription", idle="subscription"))
        assert changed_users(advice) == {}
        assert remarks(advice) == [("idle", "idle")]

    def test_minutes_that_were_used_in_another_system_are_not_there(self) -> None:
        of = basis((), adele="payPerMinute")
        month = MonthOfCalls((pooled("adele", 60, 100_000),), minutes_used_before=30)
        advice = advise(of._replace(months=(month,)))
        assert changed_users(advice) == {}
        assert advise(of._replace(months=(month._replace(minutes_used_before=0),))).best_micros == (
            PRICE_MICROS
        )


class TestFixed:
    def test_a_suite_is_never_given_back(self) -> None:
        advice = advise(basis((toll("adele", 1),), adele="bundle"))
        assert (advice.current_micros, advice.best_micros) == (0, 0)
        assert advice.subscribers == ("adele",)

    def test_without_pay_per_minute_nothing_is_changed(self) -> None:
        for held in ("payPerMinute", "subscription", "none"):
            of = with_user(
                basis((toll("adele", 900),), adele=held), "adele", can_pay_per_minute=False
            )
            advice = advise(of)
            assert changed_users(advice) == {}
            assert advice.subscribers == (("adele",) if held == "subscription" else ())
            assert ("payPerMinuteNotAvailable", "adele") in remarks(advice)

    def test_a_contracted_subscription_is_paid_until_its_renewal(self) -> None:
        of = basis((toll("adele", 30),), adele="subscription")
        advice = advise(with_user(of, "adele", is_contracted=True))
        assert changed_users(advice) == {}
        assert advice.best_micros == PRICE_MICROS
        assert remarks(advice) == [("atRenewal", "adele")]
        assert advice.remarks[0].saves_micros == 3_700_000

    def test_a_contracted_subscription_goes_to_the_user_who_needs_it(self) -> None:
        of = basis(
            (toll("adele", 30), toll("alex", 600)), adele="subscription", alex="payPerMinute"
        )
        advice = advise(with_user(of, "adele", is_contracted=True))
        assert changed_users(advice) == {"adele": "payPerMinute", "alex": "subscription"}
        assert advice.best_micros == PRICE_MICROS + 300_000


class TestOtherLicenses:
    def test_a_spare_subscription_is_assigned_before_one_is_bought(self) -> None:
        of = basis((toll("adele", 100),), adele="payPerMinute")
        advice = advise(of._replace(spare=1))
        assert advice.current_micros == PRICE_MICROS + 1_000_000
        assert advice.best_micros == PRICE_MICROS
        assert changed_users(advice) == {"adele": "subscription"}

    @pytest.mark.parametrize(("counts_spare", "minutes"), [(True, 180), (False, 60)])
    def test_spare_licenses_count_for_the_pool_if_it_counts_purchases(
        self, *, counts_spare: bool, minutes: int
    ) -> None:
        of = basis((toll("adele", 900),), adele="subscription")
        advice = advise(of._replace(spare=1, spare_bundles=1, counts_spare=counts_spare))
        assert advice.pool == (PoolOfMonth(minutes, 0),)
        assert remarks(advice) == [("spareLicenses", None)]

    def test_who_has_both_keeps_one(self) -> None:
        advice = advise(basis((toll("adele", 900), toll("alex", 9)), adele="both", alex="both"))
        assert changed_users(advice) == {"alex": "payPerMinute"}
        assert remarks(advice) == [("removePayPerMinute", "adele")]

    def test_who_has_none_gets_the_cheaper_one(self) -> None:
        of = basis((toll("adele", 900), toll("alex", 9)), adele="none", idle="none")
        advice = advise(of)
        assert changed_users(advice) == {"adele": "subscription", "alex": "payPerMinute"}
        assert advice.current_micros == 9_090_000
        assert remarks(advice) == [("noLicense", "adele"), ("noLicense", "alex")]

    def test_who_subscribes_needs_the_credits_license_for_the_rest(self) -> None:
        calls = (toll("adele", 900), other("adele", 5))
        of = basis(calls, adele="payPerMinute")
        advice = advise(with_user(of, "adele", holds_credits=False))
        assert remarks(advice) == [("needsCreditsLicense", "adele")]

    def test_a_second_subscription_beside_a_suite_is_told(self) -> None:
        of = basis((toll("adele", 900),), adele="bundle")._replace(spare=1)
        advice = advise(with_user(of, "adele", has_spare=True))
        assert remarks(advice) == [("subscriptionTwice", "adele"), ("spareLicenses", None)]

    def test_calls_without_a_price_are_told(self) -> None:
        call = other("adele", 0)._replace(is_unrated=True)
        assert remarks(advise(basis((call, call), adele="payPerMinute"))) == [
            ("unratedCalls", None)
        ]


class TestConfidence:
    @pytest.mark.parametrize(
        ("minutes", "expected"),
        [
            ((900,), AdviceConfidence.LOW),
            ((900, 900), AdviceConfidence.MEDIUM),
            ((900, 900, 900), AdviceConfidence.HIGH),
            ((2_000, 100, 100), AdviceConfidence.MEDIUM),
        ],
    )
    def test_it_grows_with_the_months_that_agree(
        self, minutes: tuple[int, ...], expected: AdviceConfidence
    ) -> None:
        months = [(toll("adele", one),) for one in minutes]
        advice = advise(basis(*months, adele="payPerMinute"))
        assert advice.confidence is expected
        assert advice.recommendations[0].months_agreeing == sum(one > 400 for one in minutes)

    def test_the_mean_of_the_months_is_rounded_half_up(self) -> None:
        advice = advise(basis((toll("adele", 1_400),), (), (), adele="payPerMinute"))
        assert advice.mean(advice.current_micros) == 4_666_667
        assert advice.mean(advice.recommendations[0].saves_micros) == 666_667


def of_many(count: int) -> AdviceBasis:
    """Users of whom every third needs a subscription for toll calls, and others for the pool."""
    users: dict[str, Any] = {f"user-{number:03}": "payPerMinute" for number in range(count)}
    month = tuple(
        call
        for number, user_id in enumerate(users)
        for call in (toll(user_id, 200 * (number % 3)), pooled(user_id, 7 * (number % 11)))
    )
    return basis(month, **users)


def test_more_than_twelve_users_are_searched() -> None:
    assert [advise(of_many(count)).is_exact for count in (12, 13)] == [True, False]


def test_a_search_ends_with_the_best_that_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_COMPARED", 1)
    advice = advise(of_many(20))
    assert advice.best_micros < advice.current_micros


def test_nobody_can_be_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, months in product((12, -1), ((), ((),))):
        monkeypatch.setattr(search, "MAX_EXACT", limit)
        if months:
            advice: Advice = advise(basis(*months, adele="bundle"))
            assert (advice.best_micros, advice.recommendations) == (0, ())
