"""When a call that was authorized may have been answered, by whatever clock (all ours)."""

from datetime import timedelta

RINGING = timedelta(minutes=1)
"""A call may ring so long before its granted seconds begin to run. A clock that is ahead of ours
takes from this time."""

CLOCK_SKEW = timedelta(seconds=30)
"""A clock may be so far behind ours: many times what a synchronized clock is off."""
