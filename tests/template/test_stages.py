"""`samconfig.toml`: a stage is a stack of its own, and says only what the template understands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from perminute_local.stack import Template

CONFIG = tomllib.loads((Path(__file__).parents[2] / "samconfig.toml").read_text())
STAGES = {name: part["deploy"]["parameters"] for name, part in CONFIG.items() if name != "version"}


def overrides(parameters: dict[str, Any]) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in parameters["parameter_overrides"].split())
    return {name: value for name, _, value in pairs}


def test_each_stage_is_a_stack_of_its_own_and_there_is_none_for_who_names_none() -> None:
    assert {name: stage["stack_name"] for name, stage in STAGES.items()} == {
        "dev": "perminute-dev",
        "prod": "perminute-prod",
    }


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_sets_parameters_that_the_template_has_to_what_it_allows(
    template: Template, name: str
) -> None:
    chosen = overrides(STAGES[name])
    assert chosen["Stage"] == name
    for parameter, value in chosen.items():
        assert value in template["Parameters"][parameter]["AllowedValues"]


def test_production_is_changed_only_after_somebody_has_looked() -> None:
    assert STAGES["prod"]["confirm_changeset"] is True


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [
        ("", True),
        ("https://console.example.com/", True),
        ("https://example.com:8443/perminute/console/", True),
        ("https://console.example.com", False),
        ("http://console.example.com/", False),
        ("https://console.example.com/#ledger", False),
        ("https://console.example.com/?next=/", False),
        ("javascript:alert(1)/", False),
    ],
)
def test_links_of_e_mails_lead_to_an_address_by_https(
    template: Template,
    address: str,
    is_taken: bool,  # noqa: FBT001 - a parameter
) -> None:
    pattern = template["Parameters"]["ConsoleUrl"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, address)) is is_taken
