"""Measurements, each beside the naive way in the same run: `make bench`.

Timings are of CPU where the question is one of CPU, the best of several rounds, since everything
else on a machine can only add to them.
"""
