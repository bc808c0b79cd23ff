"""`gatekeeper deadletter`: lists, shows, replays or discards what is in `gatekeeper_rejected`.

It does not decide what is rejected; the workers do.
"""
