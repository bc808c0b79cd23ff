"""The rejected transactions of `gatekeeper_rejected`: reads, replays and discards them.

For the command `gatekeeper deadletter` and for the servers' console. It does not decide what is
rejected; the workers do.
"""
