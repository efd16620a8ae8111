"""Commands that send what an admin decides: what would change, a confirmation, and the events.

What would change is found by the functions' own code over what the stack has recorded, with a store
that writes nothing. So a confirmation shows what the functions will do, and what they would refuse
is refused before it is sent.
"""
