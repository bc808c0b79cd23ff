import threading

from ops.local.bigquery.gate import Gate
from tests.support.processes import wait_until


def test_maintenance_has_the_gate_alone_when_no_job_is_inside() -> None:
    gate = Gate()
    with gate.alone(patience=0) as alone:
        assert alone


def test_maintenance_gives_up_when_a_job_outlasts_its_patience_and_jobs_go_on() -> None:
    gate = Gate()
    with gate.job():
        with gate.alone(patience=0) as alone:
            assert not alone
        assert gate.idle_seconds == 0
        with gate.job():
            pass
    assert gate.finished == 2


def test_maintenance_waits_for_the_job_inside() -> None:
    gate, entered, leave, order = Gate(), threading.Event(), threading.Event(), []

    def job() -> None:
        with gate.job():
            entered.set()
            leave.wait(10)
            order.append("job")

    worker = threading.Thread(target=job)
    worker.start()
    entered.wait(10)
    threading.Timer(0.05, leave.set).start()
    with gate.alone(patience=10) as alone:
        order.append("maintenance")
        assert alone
    worker.join()
    assert order == ["job", "maintenance"]


def test_a_job_waits_for_maintenance() -> None:
    gate, done = Gate(), threading.Event()

    def job() -> None:
        with gate.job():
            done.set()

    worker = threading.Thread(target=job)
    with gate.alone(patience=0) as alone:
        assert alone
        worker.start()
        assert not done.wait(0.1)
    wait_until(done.is_set, 10)
    worker.join()


def test_a_job_that_fails_leaves_the_gate() -> None:
    gate = Gate()
    try:
        with gate.job():
            raise RuntimeError  # noqa: TRY301
    except RuntimeError:
        pass
    with gate.alone(patience=0) as alone:
        assert alone
