"""Creates or updates the topics and subscriptions.

The workers' subscription has no dead-letter policy. Pub/Sub would move a message away after some
deliveries, without a ledger row and without a reason, although a killed worker or an hour without
BigQuery also causes deliveries. Workers publish to the dead-letter topic themselves, with the
reason, after the rejection is in the ledger.
"""

from google.api_core.exceptions import AlreadyExists
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import (
    ExpirationPolicy,
    PublisherAsyncClient,
    RetryPolicy,
    SubscriberAsyncClient,
    Subscription,
)

from ops.commands.failure import CommandFailed
from ops.commands.provision.change import Change
from ops.runtime import clients
from ops.runtime.settings import Settings

CALL_SECONDS = 30.0
# The longest retention without a surcharge
# (https://cloud.google.com/pubsub/docs/subscription-properties): a week to fix any problem.
RETENTION_SECONDS = 7 * 24 * 3600
# A nacked message is delivered again soon; only a long outage of BigQuery slows it down.
RETRY_FIRST_SECONDS = 1
RETRY_LONGEST_SECONDS = 60
DEAD_LETTER_LEASE_SECONDS = 60
# What is older is not reported any more: ops.notify.outbox.KEPT_SECONDS.
NOTIFY_RETENTION_SECONDS = 24 * 3600


async def ensure(settings: Settings) -> list[Change]:
    """Create or update the topics and subscriptions; return the changes.

    Raises `CommandFailed` for an existing one that cannot be updated, and the client's errors.
    """
    publisher, subscriber = clients.publisher(settings), clients.subscriber(settings)
    try:
        return [
            await _ensure_topic(publisher, settings.topic_path),
            await _ensure_topic(publisher, settings.dead_letter_topic_path),
            await _ensure_subscription(subscriber, workers_subscription(settings)),
            await _ensure_subscription(subscriber, dead_letter_subscription(settings)),
            *[
                await _ensure_subscription(subscriber, each)
                for each in notify_subscriptions(settings)
            ],
        ]
    finally:
        await clients.close(publisher, subscriber)


def workers_subscription(settings: Settings) -> Subscription:
    return Subscription(
        name=settings.subscription_path,
        topic=settings.topic_path,
        ack_deadline_seconds=settings.lease_seconds,
        enable_message_ordering=True,
        message_retention_duration=Duration(seconds=RETENTION_SECONDS),
        expiration_policy=ExpirationPolicy(),  # empty: it never expires
        retry_policy=RetryPolicy(
            minimum_backoff=Duration(seconds=RETRY_FIRST_SECONDS),
            maximum_backoff=Duration(seconds=RETRY_LONGEST_SECONDS),
        ),
    )


def dead_letter_subscription(settings: Settings) -> Subscription:
    """Return the operator's subscription. It is unordered.

    People replay and discard dead letters in any order. With ordering, a leased one would block the
    others of its key.
    """
    return Subscription(
        name=settings.dead_letter_subscription_path,
        topic=settings.dead_letter_topic_path,
        ack_deadline_seconds=DEAD_LETTER_LEASE_SECONDS,
        message_retention_duration=Duration(seconds=RETENTION_SECONDS),
        expiration_policy=ExpirationPolicy(),
    )


def notify_subscriptions(settings: Settings) -> list[Subscription]:
    """Return the notifiers' subscription, none where nothing would read it."""
    if settings.notify_key_file is None:
        return []
    return [
        Subscription(
            name=settings.notify_subscription_path,
            topic=settings.dead_letter_topic_path,
            ack_deadline_seconds=DEAD_LETTER_LEASE_SECONDS,
            message_retention_duration=Duration(seconds=NOTIFY_RETENTION_SECONDS),
            expiration_policy=ExpirationPolicy(),
        )
    ]


async def _ensure_topic(publisher: PublisherAsyncClient, path: str) -> Change:
    try:
        await publisher.create_topic(name=path, timeout=CALL_SECONDS)
    except AlreadyExists:
        return Change("topic", path, "already there")
    return Change("topic", path, "created")


async def _ensure_subscription(subscriber: SubscriberAsyncClient, wanted: Subscription) -> Change:
    try:
        await subscriber.create_subscription(request=wanted, timeout=CALL_SECONDS)
    except AlreadyExists:
        found = await subscriber.get_subscription(subscription=wanted.name, timeout=CALL_SECONDS)
    else:
        return Change("subscription", wanted.name, "created")
    check_fixed_fields(found, wanted)
    if not (fields := outdated(found, wanted)):
        return Change("subscription", wanted.name, "already there")
    await subscriber.update_subscription(
        subscription=wanted, update_mask=FieldMask(paths=fields), timeout=CALL_SECONDS
    )
    return Change("subscription", wanted.name, "updated", ", ".join(fields))


def check_fixed_fields(found: Subscription, wanted: Subscription) -> None:
    """Raise `CommandFailed` with the remedy if a field differs that no update here can change."""
    name = wanted.name.rpartition("/")[2]
    recreate = (
        f"drain it, delete it (`gcloud pubsub subscriptions delete {name}`) "
        "and run `gatekeeper provision` again"
    )
    if found.topic != wanted.topic:
        raise CommandFailed(
            f"subscription {name} is of {found.topic}, not {wanted.topic}: {recreate}"
        )
    if wanted.enable_message_ordering and not found.enable_message_ordering:
        raise CommandFailed(f"subscription {name} has message ordering off: {recreate}")
    if found.filter:
        raise CommandFailed(f"subscription {name} has a filter, {found.filter!r}: {recreate}")
    if found.push_config.push_endpoint:
        raise CommandFailed(
            f"subscription {name} pushes to {found.push_config.push_endpoint}: "
            f"run `gcloud pubsub subscriptions update {name} --push-endpoint=`"
        )
    if found.dead_letter_policy.dead_letter_topic:
        raise CommandFailed(
            f"subscription {name} has a dead-letter policy, which would remove "
            "transactions without a ledger row: "
            f"`gcloud pubsub subscriptions update {name} --clear-dead-letter-policy`"
        )


def outdated(found: Subscription, wanted: Subscription) -> list[str]:
    """Return the names of the fields to update."""
    fields = ["ack_deadline_seconds", "message_retention_duration", "expiration_policy"]
    if "retry_policy" in wanted:
        fields.append("retry_policy")
    return [name for name in fields if getattr(found, name) != getattr(wanted, name)]
