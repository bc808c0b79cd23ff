"""All topics and subscriptions: creation, look-up, deletion, publishing, retention."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.pubsub_v1 import types

from ops.local import steady_clock
from ops.local.pubsub import messages, request_checks, subscription_config
from ops.local.pubsub.body_cache import BodyCache
from ops.local.pubsub.live_subscription import LiveSubscription
from ops.local.pubsub.message_store import MessageRow, MessageStore
from ops.local.pubsub.status_errors import StatusError, already_exists, not_found
from ops.runtime import log

logger = log.get(__name__)

TopicConfig = types.Topic.pb()
SubscriptionConfig = types.Subscription.pb()
_PRUNE_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class LiveTopic:
    """A topic and the subscriptions that get its messages."""

    id: int
    config: Any
    subscriptions: dict[str, LiveSubscription] = field(default_factory=dict)


class Broker:
    """The server's state. Everything is on disk before a call returns."""

    def __init__(self, store: MessageStore) -> None:
        self._topics: dict[str, LiveTopic] = {}
        self._subscriptions: dict[str, LiveSubscription] = {}
        self._store = store
        self._bodies = BodyCache(store)
        self._last_seq = store.last_seq
        self._last_published = 0
        self._changing = asyncio.Lock()  # one change of topics and subscriptions at a time
        self._pruning: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Load everything from the store, and start to prune messages past their retention."""
        by_id = {}
        for stored in await self._store.topics():
            created = LiveTopic(stored.id, TopicConfig.FromString(stored.config))
            by_id[stored.id] = self._topics[created.config.name] = created
        for stored in await self._store.subscriptions():
            config = SubscriptionConfig.FromString(stored.config)
            subscription = self._add_subscription(stored.id, config)
            if topic := by_id.get(stored.topic_id):
                topic.subscriptions[config.name] = subscription
            await subscription.load()
        self._pruning = asyncio.create_task(self._prune_forever())

    async def close(self) -> None:
        """End every stream; unary calls that are running may still finish."""
        if self._pruning is not None:
            self._pruning.cancel()
        reason = StatusError(grpc.StatusCode.UNAVAILABLE, "The server is shutting down.")
        for subscription in self._subscriptions.values():
            subscription.end(reason)

    def _add_subscription(self, subscription_id: int, config: Any) -> LiveSubscription:
        subscription = LiveSubscription(subscription_id, config, self._store, self._bodies)
        self._subscriptions[config.name] = subscription
        return subscription

    def topic(self, path: str) -> LiveTopic:
        """Return a topic; raise NOT_FOUND."""
        if path not in self._topics:
            raise not_found(path)
        return self._topics[path]

    async def create_topic(self, config: Any) -> LiveTopic:
        """Create a topic; raise ALREADY_EXISTS."""
        request_checks.check_name(config.name, "topics")
        async with self._changing:
            if config.name in self._topics:
                raise already_exists(config.name)
            topic_id = await self._store.create_topic(config.name, config.SerializeToString())
            topic = self._topics[config.name] = LiveTopic(topic_id, config)
            return topic

    def subscription(self, path: str) -> LiveSubscription:
        """Return a subscription; raise NOT_FOUND."""
        if path not in self._subscriptions:
            raise not_found(path)
        return self._subscriptions[path]

    async def create_subscription(self, config: Any) -> LiveSubscription:
        """Create a subscription; it gets every message published from now on."""
        request_checks.check_name(config.name, "subscriptions")
        subscription_config.complete(config)
        async with self._changing:
            if config.name in self._subscriptions:
                raise already_exists(config.name)
            topic = self.topic(config.topic)
            data = config.SerializeToString()
            subscription_id = await self._store.create_subscription(config.name, topic.id, data)
            subscription = self._add_subscription(subscription_id, config)
            topic.subscriptions[config.name] = subscription
            return subscription

    async def update_subscription(self, change: Any, paths: list[str]) -> LiveSubscription:
        """Change the named fields of a subscription."""
        async with self._changing:
            subscription = self.subscription(change.name)
            config = SubscriptionConfig()
            config.CopyFrom(subscription.config)
            subscription_config.update(config, change, paths)
            await self._store.update_subscription(subscription.id, config.SerializeToString())
            subscription.configure(config)
            return subscription

    async def delete_subscription(self, path: str) -> None:
        """Delete a subscription with its messages; its streams end with NOT_FOUND."""
        async with self._changing:
            subscription = self.subscription(path)
            del self._subscriptions[path]
            for topic in self._topics.values():
                topic.subscriptions.pop(path, None)
            subscription.end(not_found(path))
            await self._store.delete_subscription(subscription.id)

    async def publish(self, path: str, items: Sequence[Any]) -> list[str]:
        """Store PubsubMessages and offer them to the subscriptions; return their ids."""
        topic = self.topic(path)
        rows = self._rows_of(items)
        targets = list(topic.subscriptions.values())

        def offer(_: None) -> None:
            if targets:
                self._bodies.add(rows)
            for target in targets:
                target.offer(rows)

        await self._store.publish(topic.id, [target.id for target in targets], rows, offer)
        return [item.message_id for item in items]

    def _rows_of(self, items: Sequence[Any]) -> list[MessageRow]:
        # Never backwards: retention relies on publish times in publish order.
        self._last_published = max(self._last_published, int(steady_clock.now() * 1e6))
        first = self._last_seq + 1
        self._last_seq += len(items)
        return messages.rows_of(items, first, self._store.base, self._last_published)

    async def backlog(self, path: str) -> tuple[int, float]:
        """Return the number of unacked messages and the age of the oldest in seconds."""
        subscription = self.subscription(path)
        oldest = await self._store.oldest(subscription.id)
        age = 0.0 if oldest is None else max(0.0, steady_clock.now() - oldest / 1e6)
        return subscription.schedule.unacked, age

    async def _prune_forever(self) -> None:
        while True:
            for path in list(self._subscriptions):
                try:
                    with suppress(StatusError):  # deleted in the meantime
                        await self._prune(self.subscription(path))
                except sqlite3.Error:
                    logger.exception("pruning_failed", subscription=path)
            await asyncio.sleep(_PRUNE_SECONDS)

    async def _prune(self, subscription: LiveSubscription) -> None:
        """Drop messages older than the subscription's retention."""
        retention = subscription.config.message_retention_duration.seconds
        oldest_kept = int((steady_clock.now() - retention) * 1e6)
        if last := await self._store.last_before(subscription.id, oldest_kept):
            await subscription.drop_through(last)
