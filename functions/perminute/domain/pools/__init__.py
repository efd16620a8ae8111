"""Minute pools, and the order in which calls draw on them."""
