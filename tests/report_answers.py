"""Answers of all reports, each with a text of others wherever an answer contains one."""

from __future__ import annotations

from typing import Any

from report_stack import AS_OF

FIGURES = {
    "calls": 2,
    "connectedSeconds": 1_190,
    "billedSeconds": 1_230,
    "poolMinutes": 0,
    "charge": "1234.5",
    "retailCost": "1234.5",
}


def answers(text: str) -> dict[str, dict[str, Any]]:
    """Return an answer of each report by its name."""
    return {
        "overview": {
            "asOf": AS_OF,
            "currency": "USD",
            "balance": "1",
            "reserved": "0",
            "available": "1",
            "debt": "0",
            "spentToday": "0",
            "lots": [{"purchaseId": text, "remaining": "1", "expiresAt": "2027-10-30T09:01:00Z"}],
            "autoRecharge": {
                "triggerAmount": "150",
                "rechargeAmount": "1000",
                "monthlyLimit": None,
                "requestedThisMonth": "1000",
                "waiting": [
                    {
                        "rechargeId": text,
                        "amount": "1000",
                        "requestedAt": "2026-11-02T17:59:01Z",
                        "attempt": 1,
                    }
                ],
                "stoppedBy": None,
            },
            "pool": {"month": "2026-11", "minutes": 60, "used": 60, "reserved": 3},
            "limits": dict.fromkeys(
                (
                    "dailySpendLimit",
                    "prefixHourlySpendLimit",
                    "maxConcurrentCalls",
                    "monthlyBudget",
                )
            ),
            "pending": {"reratings": 0, "unsettledFrom": None},
        },
        "usage": {
            "asOf": AS_OF,
            "currency": "USD",
            "groupBy": ["organizerId"],
            "rows": [{"organizerId": text, **FIGURES}],
            "total": FIGURES,
            "mayChange": [],
            "omits": ["free"],
        },
        "calls": {
            "asOf": AS_OF,
            "calls": [call(text)],
            "next": None,
            "omits": ["free"],
        },
        "explanation": {
            "asOf": AS_OF,
            "callId": text,
            "charge": {"amount": "9.625", "currency": "USD"},
            "movements": [
                {
                    "entryId": "000000000066",
                    "type": "adjustment",
                    "at": "2026-11-02T15:30:00Z",
                    "amount": "-9.625",
                    "cause": text,
                    "before": {"outcome": "notEntitled", "reason": "noCreditsLicense"},
                }
            ],
            "sentences": [text],
            "agrees": True,
        },
        "ledger": {
            "asOf": AS_OF,
            "currency": "USD",
            "entries": [
                {
                    "entryId": "000000000001",
                    "type": "purchase",
                    "amount": "1000",
                    "balanceAfter": "1000",
                    "at": "2026-11-01T08:00:00.5Z",
                    "cause": text,
                    "description": f"Purchase {text}",
                    "lots": [{"purchaseId": text, "amount": "1000"}],
                    "calls": [text],
                }
            ],
            "next": None,
        },
        "statement": statement(text),
        "license-advice": license_advice(text),
        "what-if": what_if(text),
    }


def what_if(text: str) -> dict[str, Any]:
    """Return what a month would have cost."""
    row = {"calls": 2, "recorded": "3.5", "whatIf": "2", "difference": "-1.5"}
    total = {"charge": "3.5", "poolMinutes": 60, "notEntitled": 0, "unrated": 0}
    return {
        "asOf": AS_OF,
        "month": "2026-11",
        "currency": "USD",
        "calls": 2,
        "changedCalls": 1,
        "recorded": total,
        "whatIf": {**total, "charge": "2", "unrated": 1},
        "difference": "-1.5",
        "pool": {"recorded": {"minutes": 60, "used": 60}, "whatIf": {"minutes": 75, "used": 60}},
        "byOrganizer": [{"organizerId": text, **row}],
        "byCountry": [{"country": None, **row}],
        "usersWithoutCalls": [text],
        "unknownUsers": [text],
    }


def license_advice(text: str) -> dict[str, Any]:
    """Return license advice."""
    change = {"user": text, "to": "payPerMinute", "saves": "1.5", "monthsAgreeing": 2}
    return {
        "asOf": AS_OF,
        "status": "ok",
        "currency": "USD",
        "price": "4",
        "months": ["2026-09", "2026-10"],
        "current": "7.25",
        "best": "5.75",
        "saving": "1.5",
        "subscribers": [text],
        "recommendations": [{**change, "from": "subscription"}],
        "pool": [{"month": "2026-10", "minutes": 60, "wanted": 100}],
        "confidence": "medium",
        "remarks": [
            {"remark": "idle", "user": text},
            {"remark": "moreMinutes", "number": 1, "saves": "2"},
        ],
        "isExact": False,
    }


def statement(text: str) -> dict[str, Any]:
    """Return the statement of a month."""
    return {
        "asOf": AS_OF,
        "month": "2026-11",
        "basis": "now",
        "statedAt": "2026-12-04T00:00:00Z",
        "currency": "USD",
        "opening": "100",
        "closing": "1086.5",
        "sums": {"purchase": "1000", "charge": "-12", "expiry": "-4.5", "adjustment": "3"},
        "usage": FIGURES,
        "byLegType": [{"legType": "dialOut", **FIGURES}],
        "byCountry": [{"country": None, **FIGURES}],
        "byOrganizer": [{"organizerId": text, **FIGURES}],
        "bridge": {
            "charged": "12",
            "forOtherMonths": "2.5",
            "bookedLater": "0.75",
            "usage": "10.25",
        },
        "lots": [
            {"purchaseId": text, "bought": "1000", "used": "12", "expired": "0", "adjusted": "3"}
        ],
        "debt": "0",
        "changedCalls": 1,
        "changed": [
            {
                "callId": text,
                "stated": {"outcome": "notEntitled", "charge": "0"},
                "now": {"outcome": "charged", "charge": "9.625"},
            },
        ],
        "agrees": False,
        "differences": [text],
    }


def detailed(text: str) -> dict[str, Any]:
    """Return the same with its entries, and its usage by day."""
    of_day = {"day": "2026-11-02", "legType": "dialOut", **FIGURES}
    entry = {
        "entryId": "000000000007",
        "at": "2026-11-02T08:34:45Z",
        "type": "purchase",
        "description": f"Purchase {text}",
        "calls": 0,
        "amount": "1000.000001",
        "balance": "1100.000001",
    }
    return {**statement(text), "byDay": [of_day], "entries": [entry]}


def call(text: str, **changed: Any) -> dict[str, Any]:
    """Return a call of a list."""
    of_call = {
        "callId": text,
        "answeredAt": "2026-11-02T15:00:00Z",
        "endedAt": "2026-11-02T15:10:00Z",
        "meetingId": text,
        "organizerId": text,
        "legType": "dialOut",
        "number": "+447700900123",
        "country": "GB",
        "prefix": "44",
        "connectedSeconds": 581,
        "billedSeconds": 600,
        "poolMinutes": 0,
        "ratePerMinute": "0.32",
        "connectionFee": "0",
        "outcome": "charged",
        "reason": None,
        "retailCost": "3.2",
        "charge": "3.2",
        "currency": "USD",
        "flags": ["rerated", "overdrawn"],
        "entries": ["000000000002", "000000000007"],
        "revision": 1,
    }
    return {**of_call, **changed}
