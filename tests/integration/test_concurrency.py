"""Many writers of one organization at once: on ministack, whose transactions are atomic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from builders import ANSWERED, MICROS, card, ended, entitled_changes, fact, purchase, receipt

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.schema import Schema
from perminute.adapters.dynamodb.tables import connect
from perminute.adapters.memory import FixedRateCard
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_legs import ChargeLegs
from perminute.application.patience import Patience
from perminute.application.remembered_licensing import RememberedLicensing
from perminute.domain.errors import Unavailable
from perminute.domain.licensing import LicensingChange
from perminute.ports import ReceiptKind
from perminute_local.replay.run import table_names

if TYPE_CHECKING:
    from perminute.application.charge_legs import EndedLeg
    from perminute_local.stack import Stack

THREADS, CALLS_EACH, BATCH = 8, 200, 25
PAID = 150_000


def test_eight_threads_that_charge_one_organization_end_with_the_exact_balance(
    ministack_stack: Stack, organization: str
) -> None:
    schema = Schema.bind(connect(), table_names(ministack_stack))
    credit, licensing = DynamoDBCreditStore(schema), DynamoDBLicensingStore(schema)
    licensing.record(organization, entitled_changes(organization))
    bought = receipt("po", kind=ReceiptKind.PURCHASE, organization_id=organization)
    BookCredit(credit, Patience())(
        [purchase(amount=1_000, organization_id=organization, receipt=bought)]
    )
    charge = ChargeLegs(credit, RememberedLicensing(licensing), FixedRateCard(card()), Patience())

    def work(thread: int) -> int:
        """Charge this thread's calls, each batch also once more than needed."""
        calls = [
            ended(organization_id=organization, call_id=f"{thread}-{number}")
            for number in range(CALLS_EACH)
        ]
        settled = 0
        for start in range(0, CALLS_EACH, BATCH):
            known = calls[max(0, start - 5) : start]
            settled += _until_settled(charge, [*calls[start : start + BATCH], *known])
        return settled

    def change_licenses() -> None:
        """Make versions of the account from the other side, meanwhile."""
        apply = ApplyLicensing(licensing, Patience())
        for number in range(40):
            since = ANSWERED + timedelta(days=number + 1)
            facts = (fact("country", "FR", since, f"{organization}-{number}"),)
            proof = receipt(f"{organization}-{number}", organization_id=organization)
            change = LicensingChange(organization, "adele", facts)
            while isinstance(apply([LicensingEvent(change, proof)])[0], Unavailable):
                pass

    with ThreadPoolExecutor(THREADS + 1) as threads:
        changing = threads.submit(change_licenses)
        list(threads.map(work, range(THREADS)))
        changing.result()
    account = credit.account(organization)
    assert account.balance_micros == 1_000 * MICROS - THREADS * CALLS_EACH * PAID


def _until_settled(charge: ChargeLegs, calls: list[EndedLeg]) -> int:
    """Deliver again what is handed back, as SQS would."""
    rounds = 0
    while calls:
        rounds += 1
        verdicts = charge(calls)
        calls = [
            call
            for call, verdict in zip(calls, verdicts, strict=True)
            if isinstance(verdict, Unavailable)
        ]
    return rounds
