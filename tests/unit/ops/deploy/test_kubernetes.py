from typing import Any

import kubernetes_validate
import pytest
import yaml

from ops.fleet.config import ROOT
from ops.fleet.container_config import PORT
from ops.runtime.settings import DECLARATIONS, Settings

FILE = ROOT / "ops" / "deploy" / "kubernetes.yaml"
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text()))
IDS = [f"{each['kind']} {each['metadata']['name']}" for each in DOCUMENTS]


def one(kind: str, name: str) -> dict[str, Any]:
    (found,) = (x for x in DOCUMENTS if (x["kind"], x["metadata"]["name"]) == (kind, name))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_kubernetes_accepts_the_document(document: dict[str, Any]) -> None:
    """By the JSON schemas of the latest Kubernetes; an unknown field is an error."""
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_a_wrong_field_would_be_found() -> None:
    wrong = {**DOCUMENTS[0], "metadata": {"nmae": "gatekeeper"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", ["server", "worker"])
def test_a_deployment_its_pods_and_its_budget_have_the_same_labels(name: str) -> None:
    deployment = one("Deployment", f"gatekeeper-{name}")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    budget = one("PodDisruptionBudget", f"gatekeeper-{name}")
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert container["args"] == [name]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    port = one("ConfigMap", "gatekeeper")["data"]["METRICS_PORT"]
    assert {"name": "metrics", "containerPort": int(port)} in container["ports"]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == port


def test_the_service_leads_to_the_servers() -> None:
    servers = one("Deployment", "gatekeeper-server")["spec"]["template"]
    (container,) = servers["spec"]["containers"]
    service = one("Service", "gatekeeper")["spec"]
    assert service["selector"] == servers["metadata"]["labels"]
    listens = {"name": service["ports"][0]["targetPort"], "containerPort": PORT}
    assert listens in container["ports"]


def test_the_settings_are_settings_and_valid() -> None:
    given = one("ConfigMap", "gatekeeper")["data"]
    assert set(given) <= set(DECLARATIONS)
    files = {name: "" for name in given if name.endswith("_FILE")}
    settings = Settings.parse({**given, "PROJECT_ID": "my-project", **files})
    assert settings.cloud
    assert settings.spool_max_bytes == 0, "a pod's disk goes with the pod"
