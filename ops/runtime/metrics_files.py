"""The metrics of a machine's processes without a Pushgateway: a file of each process in STATE_DIR.

All files together are the page that a Pushgateway with these processes' groups would answer, so
that it is read, recorded and alerted on in the same way.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from ops.runtime.settings import Settings

PUSHED_AT: Final = "push_time_seconds"
"""The Pushgateway's own metric of each group; here of each file."""

_SUFFIX = ".prom"
_FAMILY = "# HELP "
_CLOCK_SECONDS = 1.0
"""Of difference between a file's time and a process's start, which counts in clock ticks."""


def metrics_folder(settings: Settings) -> Path:
    return settings.state_dir.absolute() / "metrics"


class MetricsFile:
    """The file of this process: `job` and `instance` are the labels of its group."""

    def __init__(self, settings: Settings, job: str, instance: str) -> None:
        self._collector = _Group(job, instance)
        folder = metrics_folder(settings)
        self._path = folder / f"{instance}.{os.getpid()}{_SUFFIX}"

    def write(self) -> None:
        """Replace the file in one step. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_bytes(generate_latest(self._collector))
        new.replace(self._path)

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)


class _Group(Collector):
    """All metrics of this process, with the labels of its group."""

    def __init__(self, job: str, instance: str) -> None:
        self._labels = {"instance": instance, "job": job}

    def collect(self) -> Iterator[Metric]:
        pushed = GaugeMetricFamily(PUSHED_AT, "Last Unix time when this group was written.")
        pushed.add_metric([], time.time())
        for family in (*REGISTRY.collect(), pushed):
            labelled = Metric(family.name, family.documentation, family.type)
            labelled.samples = [self._labelled(sample) for sample in family.samples]
            yield labelled

    def _labelled(self, sample: Sample) -> Sample:
        return sample._replace(labels={**sample.labels, **self._labels})


def read_page(settings: Settings) -> str:
    """Return the metrics of all running processes in Prometheus' text format.

    Deletes the files of processes that have ended. Raises OSError.
    """
    files = sorted(metrics_folder(settings).glob(f"*{_SUFFIX}"))
    return join_families(file.read_text() for file in files if _lives(file))


def join_families(texts: Iterable[str]) -> str:
    """Join texts in Prometheus' format: all samples of a family must stand together. Pure."""
    families: dict[str, list[str]] = {}
    for text in texts:
        for part in f"\n{text}".split(f"\n{_FAMILY}")[1:]:
            name, _ = part.split(" ", 1)
            head, kind, *samples = part.rstrip("\n").split("\n")
            families.setdefault(name, [_FAMILY + head, kind]).extend(samples)
    return "".join(f"{line}\n" for lines in families.values() for line in lines)


def _lives(file: Path) -> bool:
    """Return whether the process of a file runs, and not another with its number."""
    import psutil  # noqa: PLC0415  # those that only write do not need it

    _, _, pid = file.stem.rpartition(".")
    try:
        written = file.stat().st_mtime
        if psutil.Process(int(pid)).create_time() <= written + _CLOCK_SECONDS:
            return True
    except FileNotFoundError:  # it has ended in this moment
        return False
    except (psutil.NoSuchProcess, ValueError):
        pass
    with contextlib.suppress(OSError):
        file.unlink()
    return False
