"""A durable Pub/Sub server for local mode: the gRPC API of google.pubsub.v1 over SQLite.

`python -m ops.local.pubsub` serves Publisher and Subscriber to any Pub/Sub client. A publish is
answered when its message is on disk, an acknowledgement when its message is off it; both survive
`kill -9`. Delivery follows the documented service: ordering keys, leases, redelivery, retry
backoff, dead letters, flow control. Filters, snapshots, push, schemas and exactly-once delivery are
refused with UNIMPLEMENTED.

One call is not Google's, because there it is Cloud Monitoring's: the unary method
`/gatekeeper.local.v1.Backlog/Get` takes a `google.protobuf.StringValue`, a subscription's path, and
answers a `google.protobuf.Struct` `{"unacked": n, "oldest_age_seconds": s}`; the age is 0 when
nothing waits. An unknown subscription is NOT_FOUND.
"""
