"""moto with what never differs made once, and queries that look at what they may find.

botocore lists and parses its models of services for each session, and looks for the names that
each of its events had before; moto reads a template as YAML and makes an RSA key for each stack,
and looks for the paths and methods of a service at each request, and for the names that each part
of an answer may have. A test whose handler has all of these would take half a second more. And our
template is read as YAML once. For each query moto sorts the whole table, and compares its items one
by one: a third of a world over moto.
"""

# ruff: noqa: ANN401 - what functions of botocore and moto take and return, as it is

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import cache, wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from botocore import hooks
from botocore.hooks import EventAliaser
from botocore.loaders import JSONFileLoader, Loader
from cfnlint.decode import decode  # type: ignore[import-untyped] # it ships no annotations
from moto.cloudformation import models as cloudformation
from moto.core.base_backend import BaseBackend
from moto.core.serialize import XFormedAttributePicker
from moto.core.utils import method_names_from_class
from moto.dynamodb.models.table import Table
from moto.kms import utils as kms

from perminute.adapters.dynamodb.account_items import ACCOUNT
from perminute.adapters.service_models import _Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from moto.core.serialize import AttributePickerContext
    from moto.dynamodb.models.dynamo_type import DynamoType, Item


@contextmanager
def quick_moto() -> Iterator[None]:
    """Have all of it within the context."""
    urls, alias = vars(BaseBackend)["urls"].fget, vars(EventAliaser)["_alias_event_name"]
    keys = XFormedAttributePicker.get_possible_keys
    with (
        patch.object(JSONFileLoader, "load_file", _once(JSONFileLoader.load_file)),
        patch.object(_Files, "load_file", _once(_Files.load_file)),
        patch.object(Loader, "list_available_services", _once(Loader.list_available_services)),
        patch.object(EventAliaser, "_alias_event_name", _once(alias)),
        patch.object(hooks, "accepts_kwargs", _once_for_each_code(hooks.accepts_kwargs)),
        patch.object(BaseBackend, "urls", property(_once_for_each_class(urls))),
        patch("moto.core.responses.method_names_from_class", cache(method_names_from_class)),
        patch("perminute_local.stack.decode", _once_for_each_content(decode)),
        patch.object(XFormedAttributePicker, "get_possible_keys", _once_for_each_shape(keys)),
        patch("moto.kms.models.generate_private_key", cache(kms.generate_private_key)),
        patch.object(cloudformation.Stack, "parse_template", staticmethod(json.loads)),
        patch.object(Table, "all_items", _sorted_at_once(Table.all_items)),
        patch.object(Table, "query", _within_partition(Table.query)),
    ):
        yield


def _once(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that does its work once for what it is asked, whichever object is asked.

    The objects are equal: each reads what comes with botocore.
    """
    found: dict[str, Any] = {}

    @wraps(method)
    def once(one: Any, *said: Any, **named: Any) -> Any:
        (asked,) = *said, *named.values()
        if asked not in found:
            found[asked] = method(one, asked)
        return found[asked]

    return once


def _once_for_each_class(getter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a getter that does its work once for all objects of a class: it is the same."""
    found: dict[type, Any] = {}

    def once(one: Any) -> Any:
        if type(one) not in found:
            found[type(one)] = getter(one)
        return found[type(one)]

    return once


def _once_for_each_code(judge: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that judges a handler once, whichever object's method it is.

    By its code: kept by handler, each client that is made would be kept with its methods.
    """
    found: dict[Any, Any] = {}

    def once(handler: Any) -> Any:
        code = getattr(handler, "__code__", None)
        if code is None:
            return judge(handler)
        if code not in found:
            found[code] = judge(handler)
        return found[code]

    return once


def _once_for_each_shape(
    keys: Callable[[Any, AttributePickerContext], Iterator[str]],
) -> Callable[[Any, AttributePickerContext], Iterable[str]]:
    """Return a method that looks once for the names that a part of a dictionary may have."""
    found: dict[tuple[Any, str], tuple[str, ...]] = {}

    def once(one: Any, context: AttributePickerContext) -> Iterable[str]:
        if type(context.obj) is not dict:  # an object's class has a part in it
            return keys(one, context)
        part = context.shape, context.key
        if part not in found:
            found[part] = tuple(keys(one, context))
        return found[part]

    return once


def _once_for_each_content(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a reader that reads a file once, as long as it says the same."""
    found: dict[bytes, Any] = {}

    def once(path: str) -> Any:
        content = Path(path).read_bytes()
        if content not in found:
            found[content] = read(path)
        return found[content]

    return once


def _sorted_at_once(all_items: Callable[[Table], list[Item]]) -> Callable[[Table], list[Item]]:
    """Return an `all_items` that casts each key once, and not for each comparison."""

    @wraps(all_items)
    def at_once(table: Table) -> list[Item]:
        if table.range_key_attr is None:
            return all_items(table)
        return sorted(
            (item for partition in table.items.values() for item in partition.values()),
            key=lambda item: (item.hash_key.cast_value, item.range_key.cast_value),
        )

    return at_once


def _within_partition(query: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `query` that is shown the one partition that it asks for; of an index, the table."""
    arguments_of = signature(query).bind

    @wraps(query)
    def within(table: Table, hash_key: DynamoType | None, *said: Any, **named: Any) -> Any:
        if not arguments_of(table, hash_key, *said, **named).arguments["index_name"]:
            whole, table = table.items, copy(table)
            table.items = defaultdict(dict)
            if hash_key in whole:
                table.items[hash_key] = whole[hash_key]
        return query(table, hash_key, *said, **named)

    return within


def cheap_transactions() -> AbstractContextManager[object]:
    """Have moto copy no more for a transaction than what it may change."""
    return patch.object(Table, "__deepcopy__", _snapshot, create=True)


_UPDATED = {"facts", "issuedAt"}
"""Of these attributes one at least is in an item that transactions update."""


def _snapshot(table: Table, _: object) -> Table:
    """Copy a table for the case that a transaction is canceled.

    moto copies it for each item that is written, and that with all it holds. Items are put anew
    and never changed, but for those that a transaction updates: accounts, timelines, and the
    records of events of which an earlier copy comes.
    """
    snapshot = copy(table)
    snapshot.items = defaultdict(dict)
    for owner, items in table.items.items():
        if not isinstance(items, dict):
            snapshot.items[owner] = items
            continue
        snapshot.items[owner] = {
            name: deepcopy(item) if name.value == ACCOUNT or item.attrs.keys() & _UPDATED else item
            for name, item in items.items()
        }
    return snapshot
