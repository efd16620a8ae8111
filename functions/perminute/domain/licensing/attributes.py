"""The attributes of users and organizations that facts are about, and what depends on each."""

from __future__ import annotations

from perminute.domain.reference.licenses import PRODUCTS, SUBSCRIPTIONS

FactValue = str | bool | int

NAME = "name"
LICENSING_PROGRAM = "licensingProgram"
COMMUNICATIONS_CREDITS_LICENSE = "communicationsCreditsLicense"
COUNTRY = "country"
DIAL_OUT_POLICY = "dialOutPolicy"
TOLL_FREE_DIAL_IN_ALLOWED = "tollFreeDialInAllowed"
POOL_MINUTES_PER_LICENSE = "poolMinutesPerLicense"
POOL_BASIS = "poolBasis"
POOL_MINUTES_USED = "poolMinutesUsed"
MONTHLY_SPEND_LIMIT = "monthlySpendLimit"


def license_attribute(product: str) -> str:
    """Return the attribute that says whether a user holds this product."""
    return f"license:{product}"


def purchased_attribute(product: str) -> str:
    """Return the attribute that says how many licenses of this product were purchased."""
    return f"purchased:{product}"


# The license that a user has by each attribute.
LICENSES = {license_attribute(product): brings for product, brings in PRODUCTS.items()}
# The licenses of users that count for the pool, if it counts assigned licenses.
SEAT_ATTRIBUTES = tuple(map(license_attribute, SUBSCRIPTIONS))

PURCHASES = tuple(map(purchased_attribute, SUBSCRIPTIONS))
# The attributes of an organization that set the minutes of its pool.
POOL_ATTRIBUTES = (POOL_MINUTES_PER_LICENSE, POOL_BASIS, POOL_MINUTES_USED, *PURCHASES)

# The attributes that decide who pays for a call, apart from the minutes of the pool.
CALL_ATTRIBUTES = frozenset(
    {
        LICENSING_PROGRAM,
        COMMUNICATIONS_CREDITS_LICENSE,
        COUNTRY,
        DIAL_OUT_POLICY,
        TOLL_FREE_DIAL_IN_ALLOWED,
        *LICENSES,
    }
)

SMALLER, LARGER, NEITHER = "smaller", "larger", "neither"
# Which value holds of two that were issued at one instant for one instant, or the values in order.
# EventBridge stamps events with whole seconds, and producers often know no finer time. The order of
# arrival is chance, so the cautious value holds: with it nobody spends money without an admin's
# act.
CAUTIOUS_VALUES: dict[str, str | tuple[str, ...]] = {
    NAME: NEITHER,
    COUNTRY: NEITHER,
    POOL_BASIS: NEITHER,
    DIAL_OUT_POLICY: ("none", "sameCountry", "zoneA", "anyDestination"),
    LICENSING_PROGRAM: ("other", "volume"),
    COMMUNICATIONS_CREDITS_LICENSE: ("perUser", "organization"),
    TOLL_FREE_DIAL_IN_ALLOWED: SMALLER,  # false is smaller than true
    POOL_MINUTES_PER_LICENSE: SMALLER,
    MONTHLY_SPEND_LIMIT: SMALLER,
    "license": SMALLER,
    "purchased": SMALLER,
    POOL_MINUTES_USED: LARGER,  # the more was used in another system, the less is left
}


def caution(attribute: str, value: FactValue) -> int:
    """Return how cautious the value of an attribute is: of two, the greater one holds."""
    cautious = CAUTIOUS_VALUES.get(attribute.partition(":")[0], NEITHER)
    if isinstance(cautious, tuple):
        return -cautious.index(str(value))
    if cautious == NEITHER:
        return 0
    return -int(value) if cautious == SMALLER else int(value)
