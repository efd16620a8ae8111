"""The report `explanation`: why a call cost what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.api.reports.documents import share_documents
from perminute.api.reports.endpoint import report
from perminute.api.reports.explanation_document import (
    BeforeDocument,
    ChargeDocument,
    CheckDocument,
    DifferenceDocument,
    EntitlementDocument,
    ExplainedPriceDocument,
    ExplanationDocument,
    ExplanationQuery,
    InputDocument,
    LicenseDocument,
    MovementDocument,
    PolicyDocument,
    PoolUseDocument,
    SettingDocument,
    StepDocument,
)
from perminute.application.reporting.explain_call import explain_call
from perminute.domain.credit.ledger import EntryType
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.reference.phone_numbers import masked
from perminute.domain.values.money import format_micros, money_text
from perminute.domain.values.times import format_instant, instant_text
from perminute.formats.explanation_texts import field_name, sentences
from perminute.observability import count, logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.licensing.timelines import InForce
    from perminute.domain.reporting.explanation import Difference, Explanation, Movement
    from perminute.domain.reporting.postings import ListedUsage

_CHECKS = {
    NotEntitled.NOT_VOLUME_LICENSING: "volumeLicensing",
    NotEntitled.CREDITS_NOT_SET_UP: "creditsSetUp",
    NotEntitled.COUNTRY_NOT_AVAILABLE: "countryAvailable",
    NotEntitled.NO_CREDITS_LICENSE: "creditsLicense",
}


@report("explanation", ExplanationQuery, ExplanationDocument)
def answer(
    reader: ReportReader, target: ReportTarget, query: ExplanationQuery
) -> ExplanationDocument:
    """Return why a call cost what it did, in figures and in sentences."""
    organization_id, call_id = target.organization_id, query.call_id
    version, explanation = explain_call(reader, organization_id, call_id, target.deadline)
    if explanation.is_faulty:
        _report_differences(explanation)
    usage = explanation.usage
    number = usage.call.rated_number if target.shows_numbers else masked(usage.call.rated_number)
    return ExplanationDocument(
        as_of=target.as_of(version),
        call_id=call_id,
        organization_id=organization_id,
        input=_input(explanation, number),
        entitlement=_entitlement(explanation),
        price=_price(explanation),
        pool=_pool(explanation) if usage.draws_on_pool else None,
        charge=_charge(explanation),
        movements=list(map(_movement, explanation.movements)),
        flags=list(usage.flags),
        pending=list(explanation.pending),
        not_recorded=list(_not_recorded(explanation)),
        agrees=not explanation.differences,
        differences=list(map(_difference, explanation.differences)),
        sentences=sentences(explanation, number),
    )


def _report_differences(explanation: Explanation) -> None:
    count("ExplanationsDiffering", 1)
    call = explanation.usage.call
    names = {"organizationId": call.organization_id, "callId": call.call_id}
    fields = [field_name(difference.field) for difference in explanation.differences]
    logger.error("call differs from its record", extra={**names, "fields": fields})


def _input(explanation: Explanation, number: str | None) -> InputDocument:
    call = explanation.usage.call
    return InputDocument(
        organizer_id=call.organizer_id,
        organizer_country=explanation.country,
        meeting_id=call.meeting_id,
        meeting_type=call.meeting_type,
        leg_type=call.leg_type,
        number=number,
        answered_at=instant_text(call.answered_at),
        ended_at=format_instant(call.ended_at),
        connected_seconds=call.connected_seconds,
        seconds_from="times" if call.billable_seconds is None else "billableSeconds",
    )


def _entitlement(explanation: Explanation) -> EntitlementDocument:
    usage, rule = explanation.usage, explanation.derivation.rule
    return EntitlementDocument(
        at=format_instant(usage.call.rated_at),
        licenses=[
            LicenseDocument(license=product, brings=brings, **_since(in_force))
            for product, brings, in_force in explanation.licenses
        ],
        settings=[
            SettingDocument(
                setting=setting,
                of=_subject(of_organizer=of_organizer),
                value=in_force.value,
                **_since(in_force),
            )
            for setting, of_organizer, in_force in explanation.settings
        ],
        rule=rule and rule.license,
        checks=[
            CheckDocument(rule=rule.license, check=_CHECKS[condition], holds=is_met)
            for rule, met in explanation.derivation.rules
            for condition, is_met in zip(rule.conditions, met, strict=True)
        ],
        outcome=usage.outcome,
        reason=usage.reason,
        policy=_policy(explanation),
    )


def _since(in_force: InForce) -> dict[str, str]:
    return {
        "since": format_instant(in_force.since),
        "told": format_instant(in_force.issued_at),
        "event_id": in_force.event_id,
    }


def _subject(*, of_organizer: bool) -> str:
    return "organizer" if of_organizer else "organization"


def _policy(explanation: Explanation) -> PolicyDocument | None:
    name, policy = explanation.policy_name, explanation.policy
    if name is None:
        return None
    return PolicyDocument(
        policy=name,
        of="default" if policy is None else _subject(of_organizer=policy.of_organizer),
        allows=explanation.usage.policy_flag is None,
    )


def _price(explanation: Explanation) -> ExplainedPriceDocument:
    usage, derivation = explanation.usage, explanation.derivation
    price = usage.stated_price
    rate = derivation.rate if explanation.has_card else None
    connected, billed = usage.call.connected_seconds, price.billed_seconds
    return ExplainedPriceDocument(
        rate_card_version=price.rate_card_version,
        prefix=price.prefix,
        country=price.country,
        effective_from=instant_text(rate.effective_from if rate else None),
        currency=price.currency,
        rate_per_minute=money_text(price.rate_micros_per_minute),
        connection_fee=money_text(price.connection_fee_micros),
        initial_increment_seconds=price.initial_increment_seconds,
        billed_seconds=billed,
        blocks=f"{connected} s rounded up to {billed} s" if billed else None,
        steps=[
            StepDocument(
                from_second=step.from_second,
                to_second=step.to_second,
                rate_per_minute=format_micros(step.rate_micros_per_minute),
                increment_seconds=step.increment_seconds,
                amount=format_micros(step.amount_micros),
            )
            for step in derivation.steps
        ],
        rounding=("half up to a millionth" if derivation.is_rounded else "exact")
        if derivation.steps
        else None,
        retail_cost=money_text(price.retail_micros),
    )


def _pool(explanation: Explanation) -> PoolUseDocument:
    return PoolUseDocument(
        month=str(explanation.pool_month),
        minutes=explanation.usage.pool_minutes,
        wanted=explanation.pool_minutes_wanted,
        left_before=explanation.pool_minutes_left,
    )


def _charge(explanation: Explanation) -> ChargeDocument:
    usage = explanation.usage
    return ChargeDocument(
        amount=format_micros(usage.charge_micros),
        currency=explanation.currency,
        lots=share_documents(usage.lots),
        debt=format_micros(explanation.debt_micros),
    )


def _movement(movement: Movement) -> MovementDocument:
    return MovementDocument(
        entry_id=movement.entry_id,
        type=movement.type,
        at=instant_text(movement.at),
        amount=format_micros(-movement.amount_micros),
        cause=movement.cause,
        before=movement.before and _before(movement.before),
    )


def _before(before: ListedUsage) -> BeforeDocument:
    return BeforeDocument(
        outcome=before.outcome,
        reason=before.reason,
        charge=format_micros(before.charge_micros),
        retail_cost=money_text(before.retail_micros),
        pool_minutes=before.pool_minutes,
        ended_at=format_instant(before.ended_at),
        flags=list(before.flags),
    )


def _not_recorded(explanation: Explanation) -> Iterator[str]:
    if explanation.usage.draws_on_pool and explanation.pool_minutes_left is None:
        yield "pool.leftBefore"
    if not explanation.has_card:
        yield "price.effectiveFrom"
    for number, movement in enumerate(explanation.movements):
        if movement.at is None:
            yield f"movements[{number}].at"
        if movement.cause is None and movement.type is not EntryType.CHARGE:
            yield f"movements[{number}].cause"


def _difference(difference: Difference) -> DifferenceDocument:
    field, recorded, found = difference
    return DifferenceDocument(
        field=field_name(field), recorded=_text(field, recorded), found=_text(field, found)
    )


def _text(field: str, value: object) -> str | None:
    if isinstance(value, int) and "_micros" in field:
        return format_micros(value)
    return None if value is None else str(value)
