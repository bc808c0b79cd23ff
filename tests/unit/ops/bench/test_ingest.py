from ops.bench import ingest
from ops.bench.ingest import SERVERS, IngestTurn


def _turns(rate: float) -> list[IngestTurn]:
    return [IngestTurn(rate * n, p50=1, p99=2, cpu=3, generator=4) for n in (1, 2)]


def test_targets_compare_servers_of_the_same_round() -> None:
    turns = {name: _turns(rate) for name, rate in zip(SERVERS, (80, 100, 50, 125), strict=True)}
    checks = {check.name: check.samples.values for check in ingest._result({64: turns}).checks}
    assert checks == {
        "ingest_64": (0.8, 0.8),
        "ingest_p99_64": (1, 1),
        "ingest_null": (0.8, 0.8),
    }


def test_other_numbers_of_connections_have_figures_but_no_targets() -> None:
    found = ingest._result({8: {name: _turns(10) for name in SERVERS}})
    assert not found.checks
    assert [row[:2] for row in found.tables[0].rows] == [
        (name, "15 (10 to 20)") for name in SERVERS
    ]
