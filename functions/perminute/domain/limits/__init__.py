"""Spend limits of users and prefixes, and what counts against them."""
