"""A durable Pub/Sub server for local mode: the gRPC API of google.pubsub.v1 over SQLite.

`python -m ops.local.pubsub` serves it. A publish is answered when its message is on disk, an
acknowledgement when its message is deleted from disk; both survive `kill -9`. Ordering keys,
leases, redelivery, retry backoff and flow control work as documented for the service. What
Gatekeeper does not use is refused with UNIMPLEMENTED; docs/pubsub.md has the list.

One more call replaces Cloud Monitoring: the unary method `/gatekeeper.local.v1.Backlog/Get` takes a
subscription's path as a `google.protobuf.StringValue` and returns a `google.protobuf.Struct`
`{"unacked": n, "oldest_age_seconds": s}`. The age is 0 when nothing waits. An unknown subscription
is NOT_FOUND.
"""
