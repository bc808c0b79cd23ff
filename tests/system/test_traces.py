"""One transaction through the whole fleet, as OpenTelemetry shows it."""

import contextlib
import json
import urllib.request

from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from ops.runtime import clients
from tests.support.stream import insert, transaction
from tests.support.trace_collector import ExportedSpan, TraceCollector

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENTS_SPAN = "b7ad6b7169203331"


def test_the_id_in_an_answer_finds_the_clients_trace_the_batch_its_job_and_the_log(
    fleet: DisposableFleet, traces: TraceCollector
) -> None:
    request = urllib.request.Request(
        f"http://{fleet.address}/api/activities",
        json.dumps(transaction(insert("traced", id=1))).encode(),
        {"Content-Type": "application/json", "traceparent": f"00-{TRACE}-{CLIENTS_SPAN}-01"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        id_ = json.load(answer)["id"]

    (publish,) = wait_until(
        lambda: traces.named("publish", gatekeeper_transaction_id=id_), what="it is published"
    )
    assert (publish.service, publish.trace) == ("gatekeeper-server", TRACE)
    (http,) = wait_until(lambda: [x for x in traces.spans if x.own == publish.parent])
    assert (http.name, http.parent) == ("POST /api/activities", CLIENTS_SPAN)

    def batches() -> list[ExportedSpan]:
        batches = traces.named("settle batch")
        return [x for x in batches if (TRACE, publish.own) in x.links]

    (batch,) = wait_until(batches, what="its batch is settled")
    assert batch.service == "gatekeeper-worker"
    assert batch.trace != TRACE
    jobs = [each for each in traces.named("run job") if each.trace == batch.trace]
    assert jobs
    assert {job.parent for job in jobs} == {batch.own}
    with contextlib.closing(clients.warehouse(fleet.settings)) as warehouse:
        labels = [job.labels for job in warehouse.list_jobs()]
    assert [each for each in labels if each.get("trace") == batch.trace]

    logs = [file.read_text() for file in fleet.run.glob("server_*.log")]
    (line,) = [json.loads(x) for text in logs for x in text.splitlines() if f'"id":"{id_}"' in x]
    assert line["trace_id"] == TRACE
    assert line["tables"] == ["traced"]
