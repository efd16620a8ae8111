"""What is reported: usage, calls, the ledger, statements and explanations."""
