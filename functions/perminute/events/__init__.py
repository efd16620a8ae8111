"""The events that come in, checked at the door (docs/events.md) and turned into the domain's words.

Unknown fields are ignored; what is missing or impossible is refused by the field's name. Messages
never repeat a phone number: they end up in logs and queues. A module for each source, so that a
function builds the models of its own events only: at a cold start they are what takes longest of
our own code.
"""
