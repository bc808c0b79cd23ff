import pytest
from google.cloud import bigquery
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import MessageStoragePolicy, Subscription, Topic

from ops.commands.failure import CommandFailed
from ops.commands.provision.dataset import check_fixed_properties, wanted_dataset
from ops.commands.provision.provision_options import ProvisionOptions, check_key, parse_labels
from ops.commands.provision.subscriptions import (
    outdated,
    outdated_topic,
    wanted_topic,
    workers_subscription,
)
from ops.runtime.settings import Settings

KEY = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
OPTIONS = ProvisionOptions(
    location="EU", labels={"team": "data"}, kms_key=KEY, regions=("europe-west1",)
)


def test_labels_are_pairs_of_what_google_accepts() -> None:
    assert parse_labels("") == {}
    assert parse_labels("team=data, env=live,empty=") == {
        "team": "data", "env": "live", "empty": "",
    }  # fmt: skip
    for wrong in ("team", "Team=data", "1=a", "a=B", f"a={'x' * 64}", "a=b=c"):
        with pytest.raises(CommandFailed, match="expected key=value"):
            parse_labels(wrong)


def test_a_key_is_given_by_its_full_name() -> None:
    assert check_key(KEY) == KEY
    assert check_key(None) is None
    with pytest.raises(CommandFailed, match="expected projects/PROJECT"):
        check_key("my-key")


def test_a_new_topic_and_a_new_dataset_have_what_was_asked_for() -> None:
    topic = wanted_topic("projects/p/topics/t", OPTIONS)
    assert dict(topic.labels) == {"team": "data"}
    assert topic.kms_key_name == KEY
    assert list(topic.message_storage_policy.allowed_persistence_regions) == ["europe-west1"]
    dataset = wanted_dataset("p.d", OPTIONS)
    assert (dataset.location, dataset.labels) == ("EU", {"team": "data"})
    config = dataset.default_encryption_configuration
    assert config is not None
    assert config.kms_key_name == KEY


def test_of_an_existing_topic_only_what_was_asked_for_is_outdated() -> None:
    found = Topic(name="projects/p/topics/t", labels={"by": "hand"}, kms_key_name=KEY)
    found.message_storage_policy = MessageStoragePolicy(allowed_persistence_regions=["us-east1"])
    assert outdated_topic(found, wanted_topic(found.name, ProvisionOptions())) == []
    assert outdated_topic(found, wanted_topic(found.name, OPTIONS)) == [
        "labels",
        "message_storage_policy",
    ]


def test_what_is_encrypted_with_another_key_is_refused_with_the_remedy() -> None:
    found = Topic(name="projects/p/topics/t")
    with pytest.raises(CommandFailed, match=r"a key of Google: .* leave --kms-key out"):
        outdated_topic(found, wanted_topic(found.name, OPTIONS))
    dataset = bigquery.Dataset("p.d")
    with pytest.raises(CommandFailed, match=r"a key of Google: .* leave --kms-key out"):
        check_fixed_properties(dataset, ProvisionOptions(kms_key=KEY))


def test_a_longer_retention_is_kept_and_a_shorter_one_is_not() -> None:
    wanted = workers_subscription(Settings.parse({}))
    for days, fields in ((31, []), (3, ["message_retention_duration"])):
        found = Subscription(wanted)
        found.message_retention_duration = Duration(seconds=days * 86_400)
        assert outdated(found, wanted) == fields
