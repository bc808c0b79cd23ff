"""`gatekeeper deadletter`: reads the dead-letter subscription, replays or discards its messages.

It does not decide what is rejected; the workers do.
"""
