"""Which settings of the credit can be cleared; it imports nothing, for a quick start."""

from __future__ import annotations

CLEARABLE = {
    "low-balance-threshold": "lowBalanceThresholds",
    "auto-recharge": "autoRecharge",
    "monthly-limit": "autoRecharge.monthlyLimit",
    "daily-spend-limit": "dailySpendLimit",
    "prefix-hourly-spend-limit": "prefixHourlySpendLimit",
    "max-concurrent-calls": "maxConcurrentCalls",
    "max-grant-seconds": "maxGrantSeconds",
    "failure-handling": "failureHandling",
    "late-usage-hours": "lateUsageHours",
}
"""Settings that can be taken away, by the names of their options; some then have their default."""
