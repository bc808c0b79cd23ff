"""The benchmarks by name, at full size and at a small one."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ops.bench import apply, capacity, cost, ingest, locust_run, memory, pace, pipeline, scale
from ops.bench.results import Result

type Bench = Callable[[bool, Path | None], Result]
"""Takes whether to be quick, and the folder for reports of other programs."""

BENCHES: Final[dict[str, Bench]] = {
    "ingest": lambda quick, _: ingest.run(ingest.QUICK if quick else ingest.Size()),
    "apply": lambda quick, _: apply.run(apply.QUICK if quick else apply.Size()),
    "pipeline": lambda quick, _: pipeline.run(pipeline.QUICK if quick else pipeline.Size()),
    "scale": lambda quick, _: scale.run(scale.QUICK if quick else scale.Size()),
    "memory": lambda quick, _: memory.run(memory.QUICK if quick else memory.Size()),
    "pace": lambda quick, _: pace.run(pace.QUICK if quick else pace.Size()),
    "locust": lambda quick, reports: locust_run.run(
        locust_run.QUICK if quick else locust_run.Size(), reports
    ),
    "cost": lambda _, __: cost.run(capacity.Load()),
}
