import pytest
from google.pubsub_v1 import Subscription

from ops.commands.doctor import pubsub_checks
from ops.commands.doctor.check_result import CheckFailed
from ops.commands.provision import subscriptions
from ops.runtime.settings import Settings


def judged(**changes: object) -> str:
    settings = Settings.parse({})
    wanted = subscriptions.workers_subscription(settings)
    found = Subscription(wanted)
    for name, value in changes.items():
        setattr(found, name, value)
    with pytest.raises(CheckFailed) as caught:
        pubsub_checks.check_subscription(found, wanted)
    return f"{caught.value} → {caught.value.remedy}"


def test_each_way_a_subscription_can_be_wrong_names_its_remedy() -> None:
    assert "ordering off" in judged(enable_message_ordering=False)
    assert "leases of 20 s, not 60 → gatekeeper provision" in judged(ack_deadline_seconds=20)
    assert "is detached" in judged(detached=True)
    assert "_deleted-topic_" in judged(topic="_deleted-topic_")
    assert "--clear-dead-letter-policy" in judged(
        dead_letter_policy={"dead_letter_topic": "projects/p/topics/t"}
    )
    assert "retry_policy → gatekeeper provision" in judged(retry_policy=None)
