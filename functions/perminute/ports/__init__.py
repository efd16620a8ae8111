"""What the use cases need from outside, in our words.

Two adapters stand behind each port, the DynamoDB one and an in-memory twin, and one contract
suite holds both to what is said here.
"""

from perminute.ports.books import BookChecks, Books
from perminute.ports.calls import (
    MAX_CALLS_READ,
    CallList,
    CallPlace,
    Calls,
    CallsUnderWay,
    CallUnderWay,
    ListedCall,
)
from perminute.ports.notifications import (
    Announcement,
    CallRecord,
    Digests,
    NotificationTopic,
    Rejection,
    Rejections,
)
from perminute.ports.stores import (
    MAX_CHANGES_PER_RECORD,
    MAX_MERGED,
    CreditStore,
    LicensingStore,
    ListedOrganizations,
    Reratings,
)
from perminute.ports.work import (
    RateCards,
    ReratingQueue,
    RunOrganization,
    RunPage,
    Waiting,
    WorkQueue,
)

__all__ = [
    "MAX_CALLS_READ",
    "MAX_CHANGES_PER_RECORD",
    "MAX_MERGED",
    "Announcement",
    "BookChecks",
    "Books",
    "CallList",
    "CallPlace",
    "CallRecord",
    "CallUnderWay",
    "Calls",
    "CallsUnderWay",
    "CreditStore",
    "Digests",
    "LicensingStore",
    "ListedCall",
    "ListedOrganizations",
    "NotificationTopic",
    "RateCards",
    "Rejection",
    "Rejections",
    "ReratingQueue",
    "Reratings",
    "RunOrganization",
    "RunPage",
    "Waiting",
    "WorkQueue",
]
