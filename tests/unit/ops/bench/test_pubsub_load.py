from google.pubsub_v1 import types

import schema
from ops.bench.pubsub_load import publish_requests, table_names


def test_the_first_tables_are_in_different_lanes() -> None:
    lanes = [schema.lane_of(name) for name in table_names(2 * schema.LANES)]
    assert sorted(lanes) == sorted([*range(schema.LANES)] * 2)


def test_a_call_holds_one_ordering_key_and_every_message_is_there_once() -> None:
    calls = [
        types.PublishRequest.pb().FromString(each)
        for each in publish_requests("t", 50, ("a", "b"), 7)
    ]
    assert all(len({message.ordering_key for message in call.messages}) == 1 for call in calls)
    messages = [message for call in calls for message in call.messages]
    assert len({message.attributes["id"] for message in messages}) == len(messages) == 50
