import stat
import threading
from pathlib import Path

from ops.runtime.local_secret import COLUMN_FILE, read_or_create


def test_all_processes_get_one_secret_that_only_this_user_can_read(tmp_path: Path) -> None:
    state = tmp_path / "state"
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(read_or_create(state, COLUMN_FILE)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(found[0] or "") >= 40
    (file,) = state.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_state_directory_there_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert read_or_create(tmp_path / "file", COLUMN_FILE) is None
