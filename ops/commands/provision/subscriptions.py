"""Creates or updates the topics and subscriptions.

The workers' subscription has no dead-letter policy. Pub/Sub would move a message away after some
deliveries, without a ledger row and without a reason, although a killed worker or an hour without
BigQuery also causes deliveries. Workers publish to the dead-letter topic themselves, with the
reason, after the rejection is in the ledger.
"""

import contextlib
from collections.abc import Mapping
from typing import Final

from google.api_core.exceptions import AlreadyExists, NotFound
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import (
    ExpirationPolicy,
    MessageStoragePolicy,
    PublisherAsyncClient,
    RetryPolicy,
    SubscriberAsyncClient,
    Subscription,
    Topic,
)

from ops.commands.failure import CommandFailed
from ops.commands.provision.change import Change
from ops.commands.provision.provision_options import ProvisionOptions
from ops.runtime import clients
from ops.runtime.settings import Settings

CALL_SECONDS = 30.0
# Pub/Sub's default: a week to fix any problem. What waits longer than a day is charged
# (https://cloud.google.com/pubsub/docs/subscription-properties).
RETENTION_SECONDS = 7 * 24 * 3600
# A nacked message is delivered again soon; only a long outage of BigQuery slows it down.
RETRY_FIRST_SECONDS = 1
RETRY_LONGEST_SECONDS = 60
DEAD_LETTER_LEASE_SECONDS = 60
# What is older is not reported any more: ops.notify.outbox.KEPT_SECONDS.
NOTIFY_RETENTION_SECONDS = 24 * 3600

_DEFAULTS: Final = ProvisionOptions()


async def ensure(settings: Settings, options: ProvisionOptions = _DEFAULTS) -> list[Change]:
    """Create or update the topics and subscriptions; return the changes.

    Raises `CommandFailed` for an existing one that cannot be updated, and the client's errors.
    """
    publisher, subscriber = clients.publisher(settings), clients.subscriber(settings)
    topics = [
        wanted_topic(path, options)
        for path in (settings.topic_path, settings.dead_letter_topic_path)
    ]
    wanted = [workers_subscription(settings), dead_letter_subscription(settings)]
    if options.retention_days:
        kept = Duration(seconds=options.retention_days * 86_400)
        topics[0].message_retention_duration = kept
        for each in wanted:
            each.message_retention_duration = kept
    wanted += notify_subscriptions(settings)
    try:
        changes = [await _ensure_topic(publisher, each, options) for each in topics]
        changes += [await _ensure_subscription(subscriber, each, options) for each in wanted]
    finally:
        await clients.close(publisher, subscriber)
    return [change._replace(planned=options.dry_run) for change in changes]


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
    """Return the subscription that `gatekeeper audit` reads. It is unordered.

    With ordering, a leased dead letter would block the others of its key.
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


def wanted_topic(path: str, options: ProvisionOptions) -> Topic:
    """Return a topic as it is created."""
    topic = Topic(name=path, labels=options.labels, kms_key_name=options.kms_key or "")
    if options.regions:
        topic.message_storage_policy = MessageStoragePolicy(
            allowed_persistence_regions=options.regions
        )
    return topic


async def _ensure_topic(
    publisher: PublisherAsyncClient, wanted: Topic, options: ProvisionOptions
) -> Change:
    try:
        found = await publisher.get_topic(topic=wanted.name, timeout=CALL_SECONDS)
    except NotFound:
        if not options.dry_run:
            with contextlib.suppress(AlreadyExists):  # another provision was faster
                await publisher.create_topic(request=wanted, timeout=CALL_SECONDS)
        return Change("topic", wanted.name, "created")
    if not (fields := outdated_topic(found, wanted)):
        return Change("topic", wanted.name, "already there")
    if not options.dry_run:
        wanted.labels = {**found.labels, **wanted.labels}
        request = {"topic": wanted, "update_mask": FieldMask(paths=fields)}
        await publisher.update_topic(request=request, timeout=CALL_SECONDS)
    return Change("topic", wanted.name, "updated", ", ".join(fields))


def outdated_topic(found: Topic, wanted: Topic) -> list[str]:
    """Return the names of the fields to update; what is not wanted is left alone.

    Raises `CommandFailed` for another key: messages of a topic keep theirs.
    """
    if wanted.kms_key_name and found.kms_key_name != wanted.kms_key_name:
        name = wanted.name.rpartition("/")[2]
        raise CommandFailed(
            f"topic {name} is encrypted with {found.kms_key_name or 'a key of Google'}: the key of "
            "a topic cannot change; leave --kms-key out, or choose another TOPIC_ID"
        )
    fields = [] if _has_labels(found, wanted.labels) else ["labels"]
    regions = set(wanted.message_storage_policy.allowed_persistence_regions)
    if regions and regions != set(found.message_storage_policy.allowed_persistence_regions):
        fields.append("message_storage_policy")
    kept = wanted.message_retention_duration
    if kept and kept != found.message_retention_duration:
        fields.append("message_retention_duration")
    return fields


def _has_labels(found: Topic | Subscription, labels: Mapping[str, str]) -> bool:
    return labels.items() <= dict(found.labels).items()


async def _ensure_subscription(
    subscriber: SubscriberAsyncClient, wanted: Subscription, options: ProvisionOptions
) -> Change:
    wanted.labels = dict(options.labels)
    try:
        found = await subscriber.get_subscription(subscription=wanted.name, timeout=CALL_SECONDS)
    except NotFound:
        if not options.dry_run:
            with contextlib.suppress(AlreadyExists):  # another provision was faster
                await subscriber.create_subscription(request=wanted, timeout=CALL_SECONDS)
        return Change("subscription", wanted.name, "created")
    check_fixed_fields(found, wanted)
    fields = outdated(found, wanted)
    if options.retention_days and _is_longer(found, wanted):
        fields.append("message_retention_duration")
    if not _has_labels(found, wanted.labels):
        fields.append("labels")
    if not fields:
        return Change("subscription", wanted.name, "already there")
    if not options.dry_run:
        wanted.labels = {**found.labels, **wanted.labels}
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
    """Return the names of the fields to update. A longer retention is an operator's choice."""
    fields = ["ack_deadline_seconds", "expiration_policy"]
    if not _is_longer(found, wanted):
        fields.append("message_retention_duration")
    if "retry_policy" in wanted:
        fields.append("retry_policy")
    return [name for name in fields if getattr(found, name) != getattr(wanted, name)]


def _is_longer(found: Subscription, wanted: Subscription) -> bool:
    return bool(found.message_retention_duration > wanted.message_retention_duration)
