from google.pubsub_v1 import types

from ops.local.pubsub import subscription_config
from ops.local.pubsub.delivery_policy import DeliveryPolicy

Config = types.Subscription.pb()


def test_a_retry_policy_gets_its_documented_defaults() -> None:
    config = Config(retry_policy={})
    subscription_config.complete(config)
    policy = DeliveryPolicy.of(config)
    assert (policy.min_backoff, policy.max_backoff) == (10, 600)


def test_without_a_retry_policy_there_is_no_backoff() -> None:
    config = Config()
    subscription_config.complete(config)
    assert DeliveryPolicy.of(config).backoff(5) == 0


def test_fractions_of_a_second_count() -> None:
    nanos = {"nanos": 500_000_000}
    config = Config(retry_policy={"minimum_backoff": nanos, "maximum_backoff": nanos})
    assert DeliveryPolicy.of(config).backoff(1) == 0.5
