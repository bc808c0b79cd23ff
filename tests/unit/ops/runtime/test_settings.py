from pathlib import Path

import pytest

from ops.runtime.fleet_settings import host_name
from ops.runtime.settings import InvalidSettings, Settings

CLOUD = {
    "PROJECT_ID": "a-project",
    "DATASET_ID": "warehouse",
    "TOPIC_ID": "transactions",
    "SUBSCRIPTION_ID": "workers",
}


def test_without_a_project_everything_is_local_and_has_a_default() -> None:
    settings = Settings.parse({})

    assert settings.local
    assert settings.project_id == "gatekeeper-local"
    assert settings.pubsub_emulator_host == "127.0.0.1:8085"
    assert settings.bigquery_emulator_host == "127.0.0.1:9050"
    assert settings.state_dir == Path(".gatekeeper")


def test_with_a_project_nothing_points_at_this_machine_but_the_pushgateway() -> None:
    settings = Settings.parse(CLOUD)

    assert not settings.local
    assert settings.pubsub_emulator_host is None
    assert settings.bigquery_emulator_host is None
    assert settings.topic_path == "projects/a-project/topics/transactions"
    assert settings.dead_letter_topic_path == "projects/a-project/topics/transactions-dead-letter"
    assert settings.subscription_path == "projects/a-project/subscriptions/workers"


def test_a_machine_that_joins_runs_no_embedded_services_and_has_a_name() -> None:
    settings = Settings.parse({"LOCAL": "0", "SERVERS": "0", "WORKERS": "4", "INSTANCE": "w-2.a_b"})
    assert not settings.local
    assert not settings.cloud
    assert (settings.servers, settings.workers, settings.instance) == (0, 4, "w-2.a_b")
    assert Settings.parse({}).servers is None
    assert Settings.parse({}).instance == host_name()


@pytest.mark.parametrize(
    "given", [{"INSTANCE": "a:b"}, {"SERVERS": "100"}, {"WORKERS": "-1"}, {**CLOUD, "LOCAL": "1"}]
)
def test_what_a_machine_cannot_run_or_be_called_is_a_fault(given: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match=list(given)[-1]):
        Settings.parse(given)


def test_an_empty_value_is_the_same_as_none() -> None:
    assert Settings.parse({"PROJECT_ID": "", "PORT": " "}) == Settings.parse({})


def test_every_fault_is_listed_with_its_name_its_value_and_what_was_expected() -> None:
    with pytest.raises(InvalidSettings) as faults:
        Settings.parse(
            {
                "PROJECT_ID": "a-project",
                "TOPIC_ID": "x",
                "PORT": "99999",
                "METRICS_PUSH_SECONDS": "soon",
                "LOG_LEVEL": "LOUD",
                "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json",
            }
        )

    text = str(faults.value)
    assert "PORT='99999': expected a whole number from 1 to 65,535" in text
    assert "METRICS_PUSH_SECONDS='soon': expected a number of seconds" in text
    assert "LOG_LEVEL='LOUD'" in text
    assert "TOPIC_ID='x'" in text
    assert "GOOGLE_APPLICATION_CREDENTIALS='/nowhere.json': expected the path of a file" in text
    assert "DATASET_ID is not set" in text
    assert "SUBSCRIPTION_ID is not set" in text


@pytest.mark.parametrize(
    "text", ["localhost:9091", "http://localhost:9091", "http://localhost:9091/"]
)
def test_the_pushgateway_is_understood_with_and_without_its_scheme(text: str) -> None:
    settings = Settings.parse({"PUSHGATEWAY_PROMETHEUS_HOST": text})

    assert settings.pushgateway_prometheus_host == "localhost:9091"


def test_the_cloud_has_no_pushgateway_unless_one_is_named() -> None:
    assert Settings.parse({}).pushgateway_prometheus_host == "127.0.0.1:9091"
    cloud = dict.fromkeys(("PROJECT_ID", "DATASET_ID", "TOPIC_ID", "SUBSCRIPTION_ID"), "a-project")
    cloud["DATASET_ID"] = "d"
    settings = Settings.parse({**cloud, "PUSHGATEWAY_PROMETHEUS_HOST": ""})
    assert settings.pushgateway_prometheus_host is None
    assert settings.metrics_port == 0


@pytest.mark.parametrize("text", ["localhost", "localhost:0", "localhost:70000", ":9091", "a:b/c"])
def test_an_address_without_a_proper_port_is_a_fault(text: str) -> None:
    with pytest.raises(InvalidSettings, match="host:port"):
        Settings.parse({"PUBSUB_EMULATOR_HOST": text})


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=8001\nHOST=from-the-file\n")

    settings = Settings.load({"PORT": "8002"}, dotenv=file)

    assert (settings.port, settings.host) == (8002, "from-the-file")


def test_the_autoscaler_is_off_without_a_target_and_its_bounds_must_agree() -> None:
    assert Settings.parse({}).autoscale_target_seconds is None
    with pytest.raises(InvalidSettings, match="no more than AUTOSCALE_MAX, 8"):
        Settings.parse({"AUTOSCALE_MIN": "9"})
    with pytest.raises(InvalidSettings) as faults:
        Settings.parse({"AUTOSCALE_MIN": "9", "AUTOSCALE_MAX": "many"})
    assert len(str(faults.value).splitlines()) == 1


def test_the_example_file_is_valid_and_changes_nothing() -> None:
    assert Settings.load({}, dotenv=Path(".env.example")) == Settings.parse({})
