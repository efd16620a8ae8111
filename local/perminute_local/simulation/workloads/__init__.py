"""Workloads: what organizations do in a world, as FoundationDB calls it; together they are a plan.

`organizations` do a bit of everything. The others each press one point.
"""
