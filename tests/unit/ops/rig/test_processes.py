import sys

import psutil
import pytest

from ops.rig import RunFailed, Service, eventually, free_port, wait_until

SLEEP = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(60)"]


def test_a_condition_that_stays_false_fails_with_its_name_and_last_value() -> None:
    with pytest.raises(RunFailed, match=r"not within 0.05 s: the moon \(last value: 0\)"):
        wait_until(lambda: 0, 0.05, "the moon")


async def test_a_coroutine_is_a_condition_too() -> None:
    answers = iter([0, 0, 7])

    async def answer() -> int:
        return next(answers)

    assert await eventually(answer) == 7
    with pytest.raises(RunFailed, match="not within"):
        await eventually(lambda: False, 0.05)


def test_a_service_runs_for_as_long_as_its_block() -> None:
    with Service(SLEEP) as service:
        wait_until(lambda: "started" in service.output)
        service.check()
        assert service.memory_bytes() > 0
        assert service.cpu_seconds() >= 0
    assert not service.alive


def test_a_service_that_ended_fails_with_its_output() -> None:
    with Service([sys.executable, "-c", "raise SystemExit('out of order')"]) as service:
        assert service.wait() == 1
        with pytest.raises(RunFailed, match="out of order"):
            service.wait_for_port(f"127.0.0.1:{free_port()}")


def test_a_service_that_ignores_sigterm_is_killed_and_that_is_a_failure() -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    ignoring = [sys.executable, "-c", f"{script}; time.sleep(60)"]
    service = Service(ignoring).start()
    wait_until(lambda: service.output)
    with pytest.raises(RunFailed, match="still runs"):
        service.stop(0.2)
    assert not service.alive


def test_the_children_of_a_service_end_with_it() -> None:
    script = f"import subprocess; print(subprocess.Popen({SLEEP!r}).pid, flush=True); input()"
    with Service([sys.executable, "-c", script], piped=True) as service:
        child = psutil.Process(int(service.pipes[1].readline()))
        assert child.is_running()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_piped_service_answers_on_its_pipes() -> None:
    echo = [sys.executable, "-c", "print(input()[::-1], flush=True)"]
    with Service(echo, piped=True) as service:
        stdin, stdout = service.pipes
        stdin.write(b"abc\n")
        stdin.flush()
        assert stdout.readline() == b"cba\n"
