"""What Microsoft Graph says of a user, and how that differs from what is recorded.

A license of ours is a service plan, which any number of products include: more than a list of them
can name. So `assignedPlans` counts; the products say which of them includes a plan, and count alone
only where no plans were sent.

Microsoft Graph docs: user resource (`assignedLicenses`, `assignedPlans`, `usageLocation`,
`accountEnabled`), assignedLicense (`skuId`, `disabledPlans`), assignedPlan (`servicePlanId`,
`capabilityStatus`), delta query (`@removed`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.reference.countries import check_country
from perminute.domain.reference.licenses import (
    OUR_NAMES,
    PRODUCTS,
    SERVICE_PLANS,
    product_with_guid,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

# A subscription that was not renewed still works in the state `Warning`.
_IN_USE = frozenset({"enabled", "warning"})

# The product of each plan that a user has by an unknown product.
_STANDALONE = {SERVICE_PLANS[product]: product for product in OUR_NAMES.values()}


class AssignedLicense(NamedTuple):
    """A product that is assigned to a user, and the service plans in it that are disabled."""

    sku_id: str
    disabled_plans: tuple[str, ...] = ()

    @property
    def product(self) -> str | None:
        """The part number, if the product brings a license and its plan is not disabled."""
        product = product_with_guid(self.sku_id)
        disabled = {plan.lower() for plan in self.disabled_plans}
        return None if product is None or SERVICE_PLANS[product] in disabled else product


class AssignedPlan(NamedTuple):
    """A service plan that a user has, by whichever product."""

    service_plan_id: str
    capability_status: str = "Enabled"

    @property
    def works(self) -> bool:
        """Whether the user may use it."""
        return self.capability_status.lower() in _IN_USE


class GraphUser(NamedTuple):
    """The licenses and country of a user; a part that was not sent, None, stays as it is."""

    # In the spelling in which events store it: timelines are found by it.
    id: str
    assigned_licenses: tuple[AssignedLicense, ...] | None = None
    assigned_plans: tuple[AssignedPlan, ...] | None = None
    # Empty: Graph says that there is none.
    usage_location: str | None = None
    account_enabled: bool | None = None
    removed: bool = False

    @property
    def sold(self) -> tuple[str, ...] | None:
        """The products among the assigned ones that bring a license."""
        if self.assigned_licenses is None:
            return None
        return _in_order(license_.product for license_ in self.assigned_licenses)

    @property
    def plans(self) -> tuple[str, ...] | None:
        """The plans that work and bring a license, each as the product in which it is alone."""
        if self.assigned_plans is None:
            return None
        works = (plan.service_plan_id.lower() for plan in self.assigned_plans if plan.works)
        return _in_order(_STANDALONE.get(plan_id) for plan_id in works)

    def products(self, known: frozenset[str] = frozenset()) -> frozenset[str] | None:
        """Return the products that the user holds; None if no licenses were sent.

        The `known` products of the user name a plan's product where Graph does not. Whether the
        account is enabled does not matter here.
        """
        if self.removed:
            return frozenset()
        return held_products(self.sold, self.plans, known)


class UserChange(NamedTuple):
    """What is to be recorded of a user: an event of this name with one field of its own."""

    user_id: str
    name: str
    field: str
    value: str


class DatedChange(NamedTuple):
    """A change, and the instant from which it holds: when Graph was asked."""

    change: UserChange
    at: datetime


class KnownUser(NamedTuple):
    """What is known of a user by all that Graph has said until now."""

    # What events have stated: part numbers, and a country, empty if there is none.
    products: tuple[str, ...] = ()
    country: str = ""
    # What that was made of; None: never said.
    sold: tuple[str, ...] | None = None
    plans: tuple[str, ...] | None = None
    is_enabled: bool = True

    def updated(self, said: GraphUser) -> KnownUser:
        """Return what is known after Graph has said something more."""
        if said.removed:
            # Whoever is restored is said anew, whole.
            return NOT_A_USER
        sold = self.sold if said.sold is None else said.sold
        plans = self.plans if said.plans is None else said.plans
        is_enabled = self.is_enabled if said.account_enabled is None else said.account_enabled
        held = held_products(sold, plans, frozenset(self.products)) or frozenset()
        return KnownUser(
            # Nobody can sign in to organize anything, although the licenses stay assigned.
            products=_in_order(held) if is_enabled else (),
            country=said.usage_location
            if said.usage_location and not_a_country(said.usage_location) is None
            else self.country,
            sold=sold,
            plans=plans,
            is_enabled=is_enabled,
        )

    def changes_to(self, user_id: str, after: KnownUser) -> Iterator[UserChange]:
        """Yield what is to be recorded if this was known, and now `after` is."""
        yield from license_changes(user_id, self.products, after.products)
        if after.country and after.country != self.country:
            yield country_change(user_id, after.country)


NOT_A_USER = KnownUser()
"""What is known of somebody who is gone, or of whom nothing was said."""


def held_products(
    sold: Collection[str] | None, plans: Collection[str] | None, known: frozenset[str]
) -> frozenset[str] | None:
    """Return the products that a user holds by assigned products and plans; None if by neither."""
    if plans is None:
        return None if sold is None else frozenset(sold)
    named = known if sold is None else frozenset(sold)
    held: set[str] = set()
    for plan in plans:
        by_product = {name for name in named if SERVICE_PLANS[name] == SERVICE_PLANS[plan]}
        held |= by_product or {plan}
    return frozenset(held)


def license_changes(
    user_id: str, before: Collection[str], after: Collection[str]
) -> Iterator[UserChange]:
    """Yield the products that a user has gained or lost."""
    for product in PRODUCTS:
        if (product in before) != (product in after):
            name = "License Removed" if product in before else "License Assigned"
            yield UserChange(user_id, name, "license", product)


def country_change(user_id: str, country: str) -> UserChange:
    """Return that a user is in another country."""
    return UserChange(user_id, "User Changed", "country", country)


def country_problem(said: GraphUser, country: str | None) -> str | None:
    """Return why a location cannot be recorded in place of a country; None if it can."""
    location = said.usage_location
    problem = None
    if location and location != country:
        problem = not_a_country(location)
    elif location == "" and country:
        problem = f"usageLocation is empty, and {country} stays: no event takes a country away"
    return None if problem is None else f"user {said.id}: {problem}"


def not_a_country(code: str) -> str | None:
    """Return why a location is no country; None if it is one."""
    try:
        check_country(code)
    except ValueError as error:
        return f"usageLocation {code!r} {error}"
    return None


def unknown_skus(users: Iterable[GraphUser]) -> frozenset[str]:
    """Return the unknown products of users, except of those whose plans were sent."""
    by_product = (user for user in users if user.assigned_plans is None)
    sku_ids = (license_.sku_id for user in by_product for license_ in user.assigned_licenses or ())
    return frozenset(sku_id for sku_id in sku_ids if product_with_guid(sku_id) is None)


def _in_order(products: Iterable[str | None]) -> tuple[str, ...]:
    found = set(products)
    return tuple(product for product in PRODUCTS if product in found)
