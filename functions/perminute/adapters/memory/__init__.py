"""In-memory twins of all adapters: the real rules without AWS, for tests and simulations."""

from perminute.adapters.memory.books import InMemoryBookChecks, InMemoryBooks
from perminute.adapters.memory.calls import InMemoryCalls
from perminute.adapters.memory.digests import InMemoryDigests
from perminute.adapters.memory.erasure import InMemoryErasure
from perminute.adapters.memory.messaging import (
    AnnouncedNotifications,
    InMemoryReratingQueue,
    PublishedRateCards,
    ScheduledRedeliveries,
    SentCalls,
    SentMessages,
    SentWork,
    StoredRejections,
)
from perminute.adapters.memory.postings import InMemoryPostings
from perminute.adapters.memory.privacy import (
    InMemoryContentKeys,
    InMemoryRecordedContent,
    InMemoryUsageArchive,
)
from perminute.adapters.memory.records_bucket import InMemoryRecordsBucket
from perminute.adapters.memory.store import InMemoryStore

__all__ = [
    "AnnouncedNotifications",
    "InMemoryBookChecks",
    "InMemoryBooks",
    "InMemoryCalls",
    "InMemoryContentKeys",
    "InMemoryDigests",
    "InMemoryErasure",
    "InMemoryPostings",
    "InMemoryRecordedContent",
    "InMemoryRecordsBucket",
    "InMemoryReratingQueue",
    "InMemoryStore",
    "InMemoryUsageArchive",
    "PublishedRateCards",
    "ScheduledRedeliveries",
    "SentCalls",
    "SentMessages",
    "SentWork",
    "StoredRejections",
]
