"""`gatekeeper rewind`: Pub/Sub delivers again what was published since a time.

Pub/Sub's Seek makes everything from then on unacknowledged, and everything before acknowledged.
The first is safe, since the workers skip what the ledger has. The second would lose what is older
and not applied yet, so the command refuses a time that is after the oldest of the backlog.
https://cloud.google.com/pubsub/docs/replay-overview#seek_to_a_time
"""
