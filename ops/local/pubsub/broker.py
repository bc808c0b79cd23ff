"""All topics and subscriptions: made, found, deleted, published to; dead letters; retention."""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.pubsub_v1 import types

from ops.local import steady
from ops.local.pubsub import messages, rules
from ops.local.pubsub.bodies import Bodies
from ops.local.pubsub.refusals import Refused, already_exists, not_found
from ops.local.pubsub.store import Row, Store
from ops.local.pubsub.subscription import Subscription
from ops.runtime import log

logger = log.get(__name__)

TopicConfig = types.Topic.pb()
SubscriptionConfig = types.Subscription.pb()
DELETED_TOPIC = "_deleted-topic_"
_PRUNE_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class Topic:
    """A topic and the subscriptions that get its messages."""

    id: int
    config: Any
    subscriptions: dict[str, Subscription] = field(default_factory=dict)


class Broker:
    """The server's state. Everything is on disk before a call returns."""

    def __init__(self, store: Store) -> None:
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._store = store
        self._bodies = Bodies(store)
        self._last_seq = store.last_seq
        self._last_published = 0
        self._first_token = store.first_token
        self._changing = asyncio.Lock()  # one change of topics and subscriptions at a time
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self) -> None:
        """Take in what the store holds, and start the pruning of what is too old."""
        by_id = {}
        for stored in await self._store.topics():
            topic = by_id[stored.id] = Topic(stored.id, TopicConfig.FromString(stored.config))
            self.topics[topic.config.name] = topic
        for stored in await self._store.subscriptions():
            config = SubscriptionConfig.FromString(stored.config)
            subscription = self._subscription(stored.id, config)
            if stored.topic_id in by_id:
                by_id[stored.topic_id].subscriptions[config.name] = subscription
            await subscription.load()
        self._spawn(self._prune_forever())

    async def close(self) -> None:
        """End every stream; calls under way may still finish."""
        for task in self._tasks:
            task.cancel()
        reason = Refused(grpc.StatusCode.UNAVAILABLE, "The server is shutting down.")
        for subscription in self.subscriptions.values():
            subscription.end(reason)

    def _subscription(self, subscription_id: int, config: Any) -> Subscription:
        subscription = Subscription(
            subscription_id,
            config,
            store=self._store,
            bodies=self._bodies,
            forward=lambda source, dead: self._spawn(self._forward(source, dead)),
            first_token=self._first_token,
        )
        self.subscriptions[config.name] = subscription
        return subscription

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Topics

    def topic(self, path: str) -> Topic:
        """Return a topic or refuse with NOT_FOUND."""
        if path not in self.topics:
            raise not_found(path)
        return self.topics[path]

    async def create_topic(self, config: Any) -> Topic:
        """Create a topic or refuse with ALREADY_EXISTS."""
        rules.check_name(config.name, "topics")
        async with self._changing:
            if config.name in self.topics:
                raise already_exists(config.name)
            topic_id = await self._store.create_topic(config.name, config.SerializeToString())
            topic = self.topics[config.name] = Topic(topic_id, config)
            return topic

    async def update_topic(self, path: str, config: Any) -> None:
        """Replace a topic's configuration."""
        async with self._changing:
            topic = self.topic(path)
            await self._store.update_topic(topic.id, config.SerializeToString())
            topic.config = config

    async def delete_topic(self, path: str) -> None:
        """Delete a topic; its subscriptions stay and keep what they hold."""
        async with self._changing:
            topic = self.topic(path)
            del self.topics[path]
            for subscription in topic.subscriptions.values():
                subscription.config.topic = DELETED_TOPIC
                config = subscription.config.SerializeToString()
                self._store.update_subscription(subscription.id, config)
            await self._store.delete_topic(topic.id)

    # Subscriptions

    def subscription(self, path: str) -> Subscription:
        """Return a subscription or refuse with NOT_FOUND."""
        if path not in self.subscriptions:
            raise not_found(path)
        return self.subscriptions[path]

    async def create_subscription(self, config: Any) -> Subscription:
        """Create a subscription; it gets what is published from now on."""
        rules.check_name(config.name, "subscriptions")
        rules.complete_subscription(config)
        async with self._changing:
            if config.name in self.subscriptions:
                raise already_exists(config.name)
            topic = self.topic(config.topic)
            if config.HasField("dead_letter_policy"):
                self.topic(config.dead_letter_policy.dead_letter_topic)
            data = config.SerializeToString()
            subscription_id = await self._store.create_subscription(config.name, topic.id, data)
            subscription = self._subscription(subscription_id, config)
            topic.subscriptions[config.name] = subscription
            return subscription

    async def update_subscription(self, change: Any, paths: list[str]) -> Subscription:
        """Change the named fields of a subscription."""
        async with self._changing:
            subscription = self.subscription(change.name)
            config = SubscriptionConfig()
            config.CopyFrom(subscription.config)
            rules.update_subscription(config, change, paths)
            if "dead_letter_policy" in paths and config.HasField("dead_letter_policy"):
                self.topic(config.dead_letter_policy.dead_letter_topic)
            await self._store.update_subscription(subscription.id, config.SerializeToString())
            subscription.configure(config)
            return subscription

    async def delete_subscription(self, path: str) -> None:
        """Delete a subscription with everything it holds; its streams end with NOT_FOUND."""
        async with self._changing:
            subscription = self.subscription(path)
            del self.subscriptions[path]
            for topic in self.topics.values():
                topic.subscriptions.pop(path, None)
            subscription.end(not_found(path))
            await self._store.delete_subscription(subscription.id)

    # Messages

    async def publish(self, path: str, items: Sequence[Any]) -> list[str]:
        """Store PubsubMessages and offer them to the subscriptions; return their ids."""
        topic = self.topic(path)
        rows = self._stamp(items)
        targets = list(topic.subscriptions.values())

        def offer(_: None) -> None:
            if targets:
                self._bodies.keep(rows)
            for target in targets:
                target.offer(rows)

        await self._store.publish(topic.id, [target.id for target in targets], rows, offer)
        return [item.message_id for item in items]

    def _stamp(self, items: Sequence[Any]) -> list[Row]:
        # Never backwards: retention and seek rely on publish times in publish order.
        self._last_published = max(self._last_published, int(steady.now() * 1e6))
        first = self._last_seq + 1
        self._last_seq += len(items)
        return messages.rows_of(items, first, self._store.base, self._last_published)

    async def _forward(self, source: Subscription, dead: list[tuple[int, int]]) -> None:
        """Move messages to the dead-letter topic; where there is none they are delivered again."""
        path = source.config.dead_letter_policy.dead_letter_topic
        seqs = [seq for seq, _ in dead]
        try:
            topic = self.topic(path)
            await self._write_letters(source, topic, dict(dead))
        except Refused:
            logger.warning("dead_letter_topic_missing", topic=path, subscription=source.name)
            source.forwarded(seqs, accepted=False)
        except sqlite3.Error:
            logger.exception("dead_lettering_failed", topic=path, subscription=source.name)
            source.forwarded(seqs, accepted=False)
        else:
            logger.info("dead_lettered", subscription=source.name, messages=len(seqs))

    async def _write_letters(
        self, source: Subscription, topic: Topic, attempts: dict[int, int]
    ) -> None:
        bodies = await self._bodies.read(list(attempts))
        letters = [messages.dead_letter(bodies[x], source.name, attempts[x]) for x in bodies]
        rows = self._stamp(letters)
        targets = list(topic.subscriptions.values())

        def offer(_: None) -> None:
            for target in targets:
                target.offer(rows)
            source.forwarded(list(attempts), accepted=True)

        ids = [target.id for target in targets]
        await self._store.forward((source.id, list(attempts)), topic.id, ids, rows, offer)

    # Age

    async def seek(self, path: str, published: int) -> None:
        """Settle what was published before that moment, in microseconds since 1970."""
        subscription = self.subscription(path)
        last = await self._store.last_before(subscription.id, published)
        if last:
            await subscription.drop_through(last)

    async def backlog(self, path: str) -> tuple[int, float]:
        """Return the number of unacked messages and the age of the oldest in seconds."""
        subscription = self.subscription(path)
        oldest = await self._store.oldest(subscription.id)
        age = 0.0 if oldest is None else max(0.0, steady.now() - oldest / 1e6)
        return subscription.delivery.unacked, age

    async def _prune_forever(self) -> None:
        while True:
            for path, subscription in list(self.subscriptions.items()):
                retention = subscription.config.message_retention_duration.seconds
                try:
                    await self.seek(path, int((steady.now() - retention) * 1e6))
                except Refused:
                    continue  # deleted in the meantime
                except sqlite3.Error:
                    logger.exception("pruning_failed", subscription=path)
            await asyncio.sleep(_PRUNE_SECONDS)
