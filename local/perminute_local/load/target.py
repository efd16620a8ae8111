"""The deployed stack to which a load is sent, and what is read from it before and after."""

from __future__ import annotations

import ipaddress
import os
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.settings import read_timeout_seconds
from perminute_local.dead_letters import DEAD_LETTERS, UNKNOWN
from perminute_local.deployment import deployed_tables, output, parameter, resources_of
from perminute_local.load.watching import charged_in, depth_of, handed_back
from perminute_local.reconcile import reconcile
from perminute_local.sending import EventSender
from perminute_local.terminal import remark
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from perminute.application.check_books import BooksReport
    from perminute.domain.rating.rate_card import RateCard
    from perminute_local.load.watching import Charged

CALLS_QUEUE, CALLS_LOG = "CallsQueue", "ChargeCallsLog"
SENDERS = 8
"""Requests to the bus at once."""
CUSTOMERS = "prod"


def check_allowed(*, costs_are_known: bool) -> None:
    """Raise `WrongCall` if AWS is not on this machine, and nobody has said that it may cost."""
    endpoint = boto3.client("events").meta.endpoint_url
    if not (costs_are_known or is_loopback(endpoint)):
        msg = (
            f"this would be sent to {endpoint}, where every event costs money "
            "(docs/capacity-and-costs.md); say --yes-this-costs-money, or `--stack local`"
        )
        raise WrongCall(msg)


def is_loopback(endpoint: str) -> bool:
    """Whether nothing that is sent there leaves this machine."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Target:
    """One stack. Methods raise what boto3 raises, and `Unavailable`."""

    def __init__(self, stack_name: str) -> None:
        if parameter(stack_name, "Stage", "") == CUSTOMERS:
            msg = (
                f"{stack_name} is a stage for customers, and what is booked stays for ever: load a "
                "stack with Stage=dev"
            )
            raise WrongCall(msg)
        self._tables = deployed_tables(stack_name)
        self._bus, self._bucket = (
            output(stack_name, name) for name in ("EventBusName", "RateCardBucketName")
        )
        resources = resources_of(stack_name)
        self._names = {resource.logical_id: resource.name for resource in resources}
        self._dead = [
            resource.name
            for resource in resources
            if resource.kind == "AWS::SQS::Queue"
            and resource.logical_id.endswith((DEAD_LETTERS, UNKNOWN))
        ]
        self._sqs = boto3.client("sqs")

    @cached_property
    def sender(self) -> EventSender:
        """A sender to the bus, which several threads may use."""
        config = Config(max_pool_connections=SENDERS)
        return EventSender(boto3.client("events", config=config), self._bus)

    @cached_property
    def _store(self) -> DynamoDBCreditStore:
        connection = connect(read_timeout_seconds=read_timeout_seconds(os.environ))
        return DynamoDBCreditStore(Tables.bind(connection, self._tables))

    def rate_card(self) -> RateCard:
        """Return the card in force."""
        return S3RateCards(lambda: boto3.client("s3"), self._bucket, report=remark).current()

    def charged(self) -> Charged:
        """Return a function that says which calls have been charged."""
        return charged_in(boto3.client("dynamodb"), self._tables.usage)

    def depth(self) -> int:
        """Return how many calls wait to be charged, or are being charged."""
        return depth_of(self._sqs, self._names[CALLS_QUEUE])

    def dead_letters(self) -> int:
        """Return how many messages could not be processed."""
        return sum(depth_of(self._sqs, url) for url in self._dead)

    def balances(self, organizations: Sequence[str]) -> Mapping[str, int]:
        """Return the balance of each organization, in micro-units."""
        return {name: self._store.account(name).balance_micros for name in organizations}

    def books(self, organizations: Sequence[str]) -> list[BooksReport]:
        """Reconcile the books of these organizations."""
        return list(reconcile(self._tables, organizations))

    def handed_back(self, since: datetime) -> int:
        """Return how many messages were delivered again because their accounts were contended."""
        pages = boto3.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(
            logGroupName=self._names[CALLS_LOG],
            startTime=int(since.timestamp() * 1000),
            filterPattern='"batch settled"',
        )
        return handed_back([line["message"] for page in found for line in page["events"]])
