"""The doctor's checks of Pub/Sub: topics, subscriptions and permissions."""

from google.api_core.exceptions import DeadlineExceeded, NotFound, PermissionDenied
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient, Subscription

from ops.commands.doctor.check_result import CheckFailed, CheckSkipped
from ops.commands.failure import CommandFailed
from ops.commands.google_failure import one_line, unreachable_service
from ops.commands.provision import subscriptions
from ops.runtime import clients
from ops.runtime.settings import Settings

PROVISION = "gatekeeper provision"


class PubSubChecks:
    """Create it inside the running loop; `aclose` it.

    Each check returns its detail, and raises `CheckFailed`, `CheckSkipped` or an error for
    `explained`.
    """

    def __init__(self, settings: Settings, seconds: float) -> None:
        self._settings = settings
        self._seconds = seconds
        self._publisher: PublisherAsyncClient = clients.publisher(settings)
        self._subscriber: SubscriberAsyncClient = clients.subscriber(settings)

    async def aclose(self) -> None:
        await clients.close(self._publisher, self._subscriber)

    async def topic(self) -> str:
        return await self._topic(self._settings.topic_path)

    async def dead_letter_topic(self) -> str:
        return await self._topic(self._settings.dead_letter_topic_path)

    async def _topic(self, path: str) -> str:
        await self._publisher.get_topic(topic=path, retry=None, timeout=self._seconds)
        return path

    async def subscription(self) -> str:
        wanted = subscriptions.workers_subscription(self._settings)
        await self._subscription(wanted)
        return f"{wanted.name}, ordered, leases of {wanted.ack_deadline_seconds} s"

    async def dead_letter_subscription(self) -> str:
        wanted = subscriptions.dead_letter_subscription(self._settings)
        await self._subscription(wanted)
        return wanted.name

    async def notify_subscription(self) -> str:
        for wanted in subscriptions.notify_subscriptions(self._settings):
            await self._subscription(wanted)
            return wanted.name
        raise CheckSkipped("NOTIFY_KEY_FILE is not set: rejections are not reported")

    async def _subscription(self, wanted: Subscription) -> None:
        found = await self._subscriber.get_subscription(
            subscription=wanted.name, retry=None, timeout=self._seconds
        )
        check_subscription(found, wanted)

    async def permissions(self) -> str:
        settings = self._settings
        if settings.pubsub_emulator_host:
            raise CheckSkipped("the local Pub/Sub has no permissions")
        publish, consume = "pubsub.topics.publish", "pubsub.subscriptions.consume"
        missing = []
        resources: list[tuple[PublisherAsyncClient | SubscriberAsyncClient, str, str]] = [
            (self._publisher, settings.topic_path, publish),
            (self._publisher, settings.dead_letter_topic_path, publish),
            (self._subscriber, settings.subscription_path, consume),
            (self._subscriber, settings.dead_letter_subscription_path, consume),
            *(
                (self._subscriber, each.name, consume)
                for each in subscriptions.notify_subscriptions(settings)
            ),
        ]
        for client, resource, permission in resources:
            answer = await client.test_iam_permissions(
                request={"resource": resource, "permissions": [permission]},
                timeout=self._seconds,
            )
            if permission not in answer.permissions:
                missing.append(f"{permission} on {resource.rpartition('/')[2]}")
        if missing:
            raise CheckFailed(
                f"not granted: {', '.join(missing)}",
                f"{grant(settings, 'roles/pubsub.publisher')}, and roles/pubsub.subscriber",
            )
        return "publish and consume are granted"


CHECKS = {
    "topic": PubSubChecks.topic,
    "dead-letter topic": PubSubChecks.dead_letter_topic,
    "subscription": PubSubChecks.subscription,
    "dead-letter subscription": PubSubChecks.dead_letter_subscription,
    "notify subscription": PubSubChecks.notify_subscription,
    "Pub/Sub permissions": PubSubChecks.permissions,
}


def explained(error: Exception, settings: Settings, seconds: float) -> CheckFailed:
    """Return the meaning of a call's error, with its remedy."""
    if isinstance(error, NotFound):
        return CheckFailed(one_line(error), PROVISION)
    if isinstance(error, PermissionDenied):
        return CheckFailed(one_line(error), grant(settings, "roles/pubsub.viewer"))
    if isinstance(error, DeadlineExceeded) and settings.pubsub_emulator_host is None:
        return CheckFailed(f"Pub/Sub has not answered within {seconds:g} s", "try again")
    detail = unreachable_service(error, settings) or one_line(error)
    return CheckFailed(detail, "ops/up" if settings.local else "")


def check_subscription(found: Subscription, wanted: Subscription) -> None:
    """Raise `CheckFailed` if the subscription differs from what the fleet needs. Pure."""
    name = wanted.name.rpartition("/")[2]
    if found.detached:
        raise CheckFailed(
            f"subscription {name} is detached from its topic and receives nothing",
            f"gcloud pubsub subscriptions delete {name}; {PROVISION}",
        )
    try:
        subscriptions.check_fixed_fields(found, wanted)
    except CommandFailed as failure:  # its message ends with the remedy
        raise CheckFailed(str(failure)) from None
    if found.ack_deadline_seconds != wanted.ack_deadline_seconds:
        raise CheckFailed(
            f"subscription {name} has leases of {found.ack_deadline_seconds} s, "
            f"not {wanted.ack_deadline_seconds}",
            PROVISION,
        )
    if fields := subscriptions.outdated(found, wanted):
        raise CheckFailed(f"subscription {name} has another {', '.join(fields)}", PROVISION)


def grant(settings: Settings, role: str) -> str:
    """Return the command that grants a role to the fleet's service account."""
    return (
        f"gcloud projects add-iam-policy-binding {settings.project_id} "
        f"--member serviceAccount:… --role {role}"
    )
