"""Whatever somebody sends as a name or a reason: people read lines that can be printed."""

from __future__ import annotations

import csv
import io
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest
from exits import OF_A_NAME, OF_SOME_LINES, all_news, encodable
from hypothesis import assume, example, given
from hypothesis import strategies as st
from items import size_of

from perminute.adapters.dynamodb.outbox_items import outbox_item
from perminute.domain.notifications.notifications import bytes_at_most
from perminute.formats.rate_card_csv import write_rate_card
from perminute_local.carrier_price_lists import DECKS
from perminute_local.carrier_price_lists.price_list import DeckOptions

if TYPE_CHECKING:
    from collections.abc import Callable

NASTY = st.text(
    st.one_of(
        st.sampled_from(
            "\x1b\x07\r\n\t\x85\u2028\u2029\u202e\u2066\u200b\ud800\U000e0041[]=+-@'\""
        ),
        st.characters(),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("leave", OF_A_NAME, ids=lambda leave: leave.__name__)
@given(text=NASTY)
@example(text="\x1b[2J\n\r\u202e\ud800[/bold]")
@example(text="\n")
def test_each_exit_writes_printable_lines_and_no_more_of_them(
    leave: Callable[[str], str], text: str
) -> None:
    lines = leave(text).split("\n")
    assert all(line.isprintable() for line in lines)
    assert len(lines) == lines_of_a_plain_name(leave)


@cache
def lines_of_a_plain_name(leave: Callable[[str], str]) -> int:
    return len(leave("name").split("\n"))


@pytest.mark.parametrize("leave", OF_SOME_LINES, ids=lambda leave: leave.__name__)
@given(text=NASTY)
@example(text="\x1b[2J\n\r\u202e[/bold]")
def test_what_is_laid_out_is_printable_lines(leave: Callable[[str], str], text: str) -> None:
    assert all(line.isprintable() for line in leave(text).split("\n"))


@given(text=NASTY)
@example(text="\U000e0041" * 250)
def test_no_notification_is_larger_than_it_is_counted_for(text: str) -> None:
    for one in all_news(text):
        row = outbox_item([one], 1)
        assert size_of(row) - len(encodable(text).encode()) <= bytes_at_most(one)


@given(text=NASTY)
@example(text='=HYPERLINK("https://evil.example")')
@example(text="\r\n@x")
def test_a_carriers_description_is_no_formula(text: str) -> None:
    # A list with either is refused: no text, and what may be rows between two quotation marks.
    assume("\0" not in text and text.count(",") < 3)
    deck = io.StringIO()
    names = ["Destination Name", "Country", "Prefix", "Price / min"]
    csv.writer(deck).writerows([names, [encodable(text), "DE", "49", "0.01"]])
    card = write_rate_card(DECKS["acs"](deck.getvalue().encode(), DeckOptions()).rates())
    (row,) = csv.DictReader(card.split("\n")[:-1])
    cell = row["description"]
    assert cell.isprintable()
    assert cell[:1] not in set("=+-@") or re.fullmatch(r"[+-][0-9][0-9., ]*\*{0,4}", cell)
