"""What must hold, whatever fails: each invariant is a function whose docstring is the promise.

`write_recorder` checks each transaction as it takes effect. The rest is checked when nothing is
under way: against the events that were sent and the pure rules, never by the code under test.
"""
