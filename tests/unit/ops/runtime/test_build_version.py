import importlib.metadata

import pytest
from prometheus_client import REGISTRY, generate_latest

from ops.runtime import build_version, metrics


def test_every_process_pushes_its_version() -> None:
    assert metrics.BUILD
    version = importlib.metadata.version("gatekeeper")
    assert f'gatekeeper_build_info{{version="{version}"}} 1.0' in generate_latest(REGISTRY).decode()


def test_without_an_installed_package_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert build_version.build_version() == "unknown"
