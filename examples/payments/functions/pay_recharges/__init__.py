"""Buys the credit that perminute requests, and reports the outcome: see ../../README.md."""
