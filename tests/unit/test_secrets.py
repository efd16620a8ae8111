"""How long a secret is used, when it is read anew, and what is said of a faulty one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from perminute.adapters.secrets import CachedSecret
from perminute.domain.errors import SecretUnreadable
from perminute.formats.webhook_secret import read_webhook_secret

MISSING = ClientError(
    {"Error": {"Code": "ResourceNotFoundException", "Message": "no such secret"}}, "GetSecretValue"
)


class Store:
    """Secrets Manager with one secret, a clock, and what is reported of reading it."""

    def __init__(self, *answers: object) -> None:
        # The last one is repeated.
        self.answers = list(answers)
        self.reads = 0
        self.now = 1_000.0
        self.reported: list[str] = []
        self.secret = CachedSecret(
            lambda: self, "hooks", read_number, report=self.reported.append, clock=lambda: self.now
        )

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - as boto3 names it
        assert SecretId == "hooks"
        self.reads += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"SecretString": answer} if isinstance(answer, str) else {"SecretBinary": answer}

    def after(self, seconds: float) -> str:
        """Ask some seconds later; return the secret, or why there is none."""
        self.now += seconds
        try:
            return str(self.secret.current())
        except SecretUnreadable as error:
            return str(error)


def read_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        msg = "must be a number"
        raise ValueError(msg) from None


def test_a_secret_is_used_for_five_minutes_before_it_is_read_again() -> None:
    store = Store("1", "2")
    assert [store.after(seconds) for seconds in (0, 299, 1)] == ["1", "1", "2"]
    assert store.reads == 2


def test_a_secret_that_does_not_agree_is_read_anew_at_most_once_a_minute() -> None:
    store = Store("1", "2", "3")
    assert store.after(0) == "1"
    renewed = []
    for seconds in (59, 1, 59, 1):
        store.now += seconds
        renewed.append(store.secret.renewed())
    assert renewed == [1, 2, 2, 3]


def test_the_last_good_secret_is_used_for_an_hour_while_it_cannot_be_read() -> None:
    why = f"hooks: {MISSING}"
    store = Store("1", MISSING)
    assert [store.after(seconds) for seconds in (0, 300, 9, 3_290, 1)] == ["1"] * 4 + [why]
    # Not tried again within ten seconds.
    assert store.reported == [why] * 2
    assert store.after(8) == why
    store.answers = ["2"]
    assert store.after(1) == "2"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (MISSING, f"hooks: {MISSING}"),
        ("x", "hooks: must be a number"),
        (b"1", "hooks: must be stored as text (SecretString), not as binary"),
    ],
)
def test_a_secret_that_cannot_be_read_is_named_and_tried_again(answer: object, why: str) -> None:
    store = Store(answer, "2")
    assert [store.after(seconds) for seconds in (0, 9, 1)] == [why, why, "2"]
    assert (store.reported, store.reads) == ([why], 2)


def test_a_secret_lists_what_is_accepted_or_has_one_text() -> None:
    secret = read_webhook_secret('{"twilio": {"AC1": "a"}, "keys": {"k": ["b", "c"]}}')
    assert secret == ({"AC1": ("a",)}, {}, {"k": ("b", "c")})


def test_a_secret_shows_none_of_its_values() -> None:
    secret = read_webhook_secret('{"twilio": {"AC1": "hush"}}')
    assert "hush" not in f"{secret} {secret!r}"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("hush", "must be JSON"),
        ("[" * 100_000, "must be JSON"),
        ('["hush"]', "must be a JSON object"),
        ({"Twilio": {}}, "Twilio: must be twilio, freeswitch or keys"),
        ({"twilio": ["hush"]}, "twilio: must be an object of names"),
        ({"twilio": {"AC1": None}}, "twilio.AC1: must be a text or a list of texts"),
        ({"twilio": {"AC1": []}}, "twilio.AC1: must be a text or a list of texts"),
        ({"keys": {"k": ["hush", ""]}}, "keys.k: must be a text or a list of texts, none of them"),
        ({"keys": {"k": ["hush", 5]}}, "keys.k: must be a text or a list of texts"),
        ({"freeswitch": {"u": "hush "}}, "freeswitch.u: has a space or a line break"),
        ({"freeswitch": {"u": "hush\n"}}, "freeswitch.u: has a space or a line break"),
        ({"freeswitch": {"\x1b[2J": ""}}, "freeswitch.\\x1b[2J: must be a text"),
    ],
)
def test_a_faulty_secret_is_named_by_its_place_and_never_shown(document: Any, why: str) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(ValueError, match=f"^{re.escape(why)}") as refused:
        read_webhook_secret(text)
    assert "hush" not in str(refused.value)
