"""Billing events become ledger entries."""
