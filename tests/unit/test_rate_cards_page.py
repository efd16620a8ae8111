"""docs/rate-cards.md names what there is: columns, fields, decks, and a mapping that is read."""

from __future__ import annotations

import re
from pathlib import Path

from perminute.formats.rate_card_csv import COLUMNS
from perminute_local.carrier_price_lists import DECKS
from perminute_local.carrier_price_lists.mapped import FIELDS, load_mapping

PAGE = (Path(__file__).parents[2] / "docs" / "rate-cards.md").read_text()


def rows(heading: str) -> list[str]:
    """Return the first cells of the table of a section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([a-z][a-z_-]*)` \|", section, re.MULTILINE)


def test_the_columns_of_a_card_the_fields_of_a_mapping_and_the_decks_are_all_named() -> None:
    assert rows("The card") == list(COLUMNS)
    assert rows("Any other list: a mapping") == list(FIELDS)
    assert rows("The lists of carriers") == list(DECKS)


def test_the_mapping_that_is_shown_can_be_used(tmp_path: Path) -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    file = tmp_path / "carrier.json"
    file.write_text(shown[1])
    load_mapping(file).check()
