"""The version of the program that runs."""

import importlib.metadata


def build_version() -> str:
    """Return the version, `unknown` where the package is not installed."""
    try:
        return importlib.metadata.version("gatekeeper")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
