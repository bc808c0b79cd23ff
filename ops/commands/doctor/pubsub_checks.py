"""The doctor's checks of Pub/Sub: topics, subscriptions, and what we may do with them."""

from google.api_core.exceptions import DeadlineExceeded, NotFound, PermissionDenied
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient, Subscription

from ops.commands.doctor.finding import Skipped, Wrong
from ops.commands.failure import CommandFailed, hint, pubsub_failure
from ops.commands.provision import subscriptions as provision_pubsub
from ops.runtime import clients
from ops.runtime.settings import Settings

PROVISION = "gatekeeper provision"


class PubSub:
    """Pub/Sub as the settings name it. Made inside the running loop; `close` it.

    Each check returns what it saw, and raises `Wrong` or what `explained` explains.
    """

    def __init__(self, settings: Settings, seconds: float) -> None:
        self._settings = settings
        self._seconds = seconds
        self._publisher: PublisherAsyncClient = clients.publisher(settings)
        self._subscriber: SubscriberAsyncClient = clients.subscriber(settings)

    async def close(self) -> None:
        """Close both clients."""
        await clients.close(self._publisher, self._subscriber)

    async def topic(self) -> str:
        """Look at the topic that the servers publish to."""
        return await self._topic(self._settings.topic_path)

    async def dead_letter_topic(self) -> str:
        """Look at the topic that the workers publish rejected transactions to."""
        return await self._topic(self._settings.dead_letter_topic_path)

    async def _topic(self, path: str) -> str:
        await self._publisher.get_topic(topic=path, retry=None, timeout=self._seconds)
        return path

    async def subscription(self) -> str:
        """Look at the subscription that the workers share."""
        wanted = provision_pubsub.workers_subscription(self._settings)
        await self._subscription(wanted)
        return f"{wanted.name}, ordered, leases of {wanted.ack_deadline_seconds} s"

    async def dead_letter_subscription(self) -> str:
        """Look at the subscription that the operator reads."""
        wanted = provision_pubsub.dead_letter_subscription(self._settings)
        await self._subscription(wanted)
        return wanted.name

    async def _subscription(self, wanted: Subscription) -> None:
        found = await self._subscriber.get_subscription(
            subscription=wanted.name, retry=None, timeout=self._seconds
        )
        judge(found, wanted)

    async def permissions(self) -> str:
        """Ask whether these credentials may publish and pull; in the cloud alone."""
        if self._settings.pubsub_emulator_host:
            raise Skipped("the local Pub/Sub asks for none")
        settings = self._settings
        lacking = []
        for client, resource, permission in (
            (self._publisher, settings.topic_path, "pubsub.topics.publish"),
            (self._publisher, settings.dead_letter_topic_path, "pubsub.topics.publish"),
            (self._subscriber, settings.subscription_path, "pubsub.subscriptions.consume"),
            (
                self._subscriber,
                settings.dead_letter_subscription_path,
                "pubsub.subscriptions.consume",
            ),
        ):
            answer = await client.test_iam_permissions(
                request={"resource": resource, "permissions": [permission]},
                timeout=self._seconds,
            )
            if permission not in answer.permissions:
                lacking.append(f"{permission} on {resource.rpartition('/')[2]}")
        if lacking:
            raise Wrong(
                f"not granted: {', '.join(lacking)}",
                f"{grant(settings, 'roles/pubsub.publisher')}, and roles/pubsub.subscriber",
            )
        return "publish and consume are granted"

    def explained(self, error: Exception) -> Wrong:
        """Return what a call's error means, with its remedy."""
        if isinstance(error, NotFound):
            return Wrong(str(error.message), PROVISION)
        if isinstance(error, PermissionDenied):
            return Wrong(str(error.message), grant(self._settings, "roles/pubsub.viewer"))
        if isinstance(error, DeadlineExceeded) and self._settings.pubsub_emulator_host is None:
            return Wrong(f"Pub/Sub has not answered within {self._seconds:g} s", "try again")
        detail = str(pubsub_failure(error, self._settings)).removesuffix(hint(self._settings))
        return Wrong(detail, "ops/up" if self._settings.local else "")


def judge(found: Subscription, wanted: Subscription) -> None:
    """Raise `Wrong` for a subscription that is not what it must be. Pure."""
    name = wanted.name.rpartition("/")[2]
    if found.detached:
        raise Wrong(
            f"subscription {name} is detached from its topic and gets nothing",
            f"gcloud pubsub subscriptions delete {name}; {PROVISION}",
        )
    try:
        provision_pubsub.check(found, wanted)
    except CommandFailed as failure:  # its text ends with the remedy
        raise Wrong(str(failure)) from None
    if found.ack_deadline_seconds != wanted.ack_deadline_seconds:
        raise Wrong(
            f"subscription {name} has leases of {found.ack_deadline_seconds} s, "
            f"not {wanted.ack_deadline_seconds}",
            PROVISION,
        )
    if fields := provision_pubsub.outdated(found, wanted):
        raise Wrong(f"subscription {name} has another {', '.join(fields)}", PROVISION)


def grant(settings: Settings, role: str) -> str:
    """Return the command that grants a role to whom the fleet runs as."""
    return (
        f"gcloud projects add-iam-policy-binding {settings.project_id} "
        f"--member serviceAccount:… --role {role}"
    )
