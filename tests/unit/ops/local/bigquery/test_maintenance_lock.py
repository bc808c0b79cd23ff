import threading

from ops.local.bigquery.maintenance_lock import MaintenanceLock
from ops.rig import wait_until


def test_maintenance_gets_the_lock_when_no_job_runs() -> None:
    lock = MaintenanceLock()
    with lock.exclusive(patience=0) as acquired:
        assert acquired


def test_maintenance_gives_up_when_a_job_outlasts_its_patience_and_jobs_go_on() -> None:
    lock = MaintenanceLock()
    with lock.job():
        with lock.exclusive(patience=0) as acquired:
            assert not acquired
        assert lock.idle_seconds == 0
        with lock.job():
            pass
    assert lock.finished == 2


def test_maintenance_waits_for_the_running_job() -> None:
    lock, entered, leave = MaintenanceLock(), threading.Event(), threading.Event()
    order: list[str] = []

    def job() -> None:
        with lock.job():
            entered.set()
            leave.wait(10)
            order.append("job")

    worker = threading.Thread(target=job)
    worker.start()
    entered.wait(10)
    threading.Timer(0.05, leave.set).start()
    with lock.exclusive(patience=10) as acquired:
        order.append("maintenance")
        assert acquired
    worker.join()
    assert order == ["job", "maintenance"]


def test_a_job_waits_for_maintenance() -> None:
    lock, done = MaintenanceLock(), threading.Event()

    def job() -> None:
        with lock.job():
            done.set()

    worker = threading.Thread(target=job)
    with lock.exclusive(patience=0) as acquired:
        assert acquired
        worker.start()
        assert not done.wait(0.1)
    wait_until(done.is_set)
    worker.join()


def test_a_job_that_fails_releases_the_lock() -> None:
    lock = MaintenanceLock()
    try:
        with lock.job():
            raise RuntimeError  # noqa: TRY301
    except RuntimeError:
        pass
    with lock.exclusive(patience=0) as acquired:
        assert acquired
