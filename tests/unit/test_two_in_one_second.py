"""Events of one second, or of one decision: how the use cases take them in."""

from __future__ import annotations

from datetime import timedelta

from builders import ANSWERED, IMPATIENT, LONG_AGO, ORGANIZATION, purchase, receipt

from perminute.adapters.memory import InMemoryStore
from perminute.application.book_credit import BookCredit
from perminute.domain.credit_settings import CreditSettings

SECOND = timedelta(seconds=1)


def test_credit_of_one_second_is_booked_in_the_order_in_which_it_was_decided() -> None:
    store = InMemoryStore()
    decided = {"po-a": 3, "po-b": 1, "po-c": 2}
    BookCredit(store, IMPATIENT)(
        [
            purchase(name, issued_at=ANSWERED, decided_at=ANSWERED + n * SECOND / 10)
            for name, n in decided.items()
        ]
    )
    causes = [entry.cause for entry in store.statement(ORGANIZATION).entries]
    assert causes == ["purchase#po-b", "purchase#po-c", "purchase#po-a"]


def test_settings_are_booked_when_they_were_sent_and_hold_since_they_were_decided() -> None:
    store = InMemoryStore()
    said = CreditSettings(configured_at=LONG_AGO, event_id="e", currency="USD")
    event = purchase(change=said, receipt=receipt("e"), issued_at=ANSWERED)
    BookCredit(store, IMPATIENT)([event])
    account = store.account(ORGANIZATION)
    assert (account.as_of, account.credits_set_up_at) == (ANSWERED, LONG_AGO)
