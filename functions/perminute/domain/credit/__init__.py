"""The prepaid credit of an organization: account, lots, ledger, recharge."""
