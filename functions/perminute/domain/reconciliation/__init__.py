"""Account, ledger and calls, compared with each other."""
