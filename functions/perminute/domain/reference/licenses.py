"""What an organizer can hold, and under which names it is sold (docs/domain.md §3.1)."""

from __future__ import annotations

from enum import StrEnum


class License(StrEnum):
    """The three licenses that decide who pays for a call."""

    PAY_PER_MINUTE = "payPerMinute"
    SUBSCRIPTION = "subscription"
    COMMUNICATIONS_CREDITS = "communicationsCredits"


# SKU part numbers and the license that each brings, by the service plans inside it.
PRODUCTS: dict[str, License] = {
    "MCOMEETACPEA": License.PAY_PER_MINUTE,
    "MCOMEETADV": License.SUBSCRIPTION,
    "ENTERPRISEPREMIUM": License.SUBSCRIPTION,
    "SPE_E5": License.SUBSCRIPTION,
    "SPE_E5_CALLINGMINUTES": License.SUBSCRIPTION,
    "MCOPSTNC": License.COMMUNICATIONS_CREDITS,
}

# The products whose licenses give minutes to the pool (docs/domain.md §4.1).
SUBSCRIPTIONS = tuple(p for p, brings in PRODUCTS.items() if brings is License.SUBSCRIPTION)

# The service plan in each product that brings the license; an admin may disable it for a user.
SERVICE_PLANS = {
    "MCOMEETACPEA": "bb038288-76ab-49d6-afc1-eaa6c222c65a",
    "MCOMEETADV": "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40",
    "ENTERPRISEPREMIUM": "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40",
    "SPE_E5": "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40",
    "SPE_E5_CALLINGMINUTES": "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40",
    "MCOPSTNC": "505e180f-f7e0-4b65-91d4-00d670bbd18c",
}

# The product that one of our own names stands for: the one that is sold alone.
OUR_NAMES = {
    License.PAY_PER_MINUTE.value: "MCOMEETACPEA",
    License.SUBSCRIPTION.value: "MCOMEETADV",
    License.COMMUNICATIONS_CREDITS.value: "MCOPSTNC",
}

_BY_SKU_ID = {
    "df9561a4-4969-4e6a-8e73-c601b68ec077": "MCOMEETACPEA",
    "0c266dff-15dd-4b49-8397-2bb16070ed52": "MCOMEETADV",
    "c7df2760-2c81-4ef7-b578-5b5392b571df": "ENTERPRISEPREMIUM",
    "06ebc4ee-1bb5-47dd-8120-11324bc54e06": "SPE_E5",
    "a91fc4e0-65e5-4266-aa76-4037509c1626": "SPE_E5_CALLINGMINUTES",
    "47794cd0-f0e5-45c5-9033-2eb6b5fc84e0": "MCOPSTNC",
}
_BY_GUID = _BY_SKU_ID | {SERVICE_PLANS[product]: product for product in OUR_NAMES.values()}
GUIDS = tuple(_BY_GUID)  # of products and of their service plans; in lower case, and read in any

_MAX_SHOWN = 64


def product_with_guid(guid: str) -> str | None:
    """Return the product that has this GUID; None if it brings none of our licenses."""
    return _BY_GUID.get(guid.lower())


def product_named(name: str) -> str:
    """Return the part number for our name, a part number or a GUID; raises `ValueError`."""
    # The product is stored, not only the license it brings: a user may hold the subscription twice,
    # in a suite and on its own, and losing the one leaves the other.
    # Only ASCII: elsewhere there are letters whose upper case is that of another.
    part_number = name.upper() if name.isascii() else name
    product = OUR_NAMES.get(name) or product_with_guid(name) or part_number
    if product not in PRODUCTS:
        known = ", ".join((*OUR_NAMES, *PRODUCTS))
        shown = name[:_MAX_SHOWN]
        msg = (
            f"{shown!r} is not a license that we know; use one of {known}, or the GUID of one of "
            "them"
        )
        raise ValueError(msg)
    return product
