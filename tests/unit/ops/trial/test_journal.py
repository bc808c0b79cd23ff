from pathlib import Path

import pytest

from ops.trial.journal import InvalidJournal, Journal, read
from ops.trial.load_plan import setup, steps, streams
from schema import lane_of, lane_of_id


def test_a_journal_is_read_in_the_order_of_each_stream(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    lanes = [list(steps(stream)) for stream in streams(300, 1)]
    with Journal(file) as journal:
        journal.foreign("strict", {"n": "INTEGER"}, ("n",))
        for round_ in range(max(map(len, lanes))):
            for step in (lane[round_] for lane in lanes if round_ < len(lane)):
                journal.sent(step)
                journal.answered(step, [200 if valid else 400 for valid in step.valid])
    history = read(file)
    assert history.foreign == [("strict", {"n": "INTEGER"}, ("n",))]
    assert len(history.accepted()) == 300
    for lane in lanes:
        bodies = [body for step in lane for body in step.bodies]
        assert [sent.data for sent in history.streams[lane[0].stream]] == bodies
        ids = [journal.id_of(step, place) for step in lane for place in range(len(step.bodies))]
        assert [sent.id for sent in history.streams[lane[0].stream]] == ids


def test_ids_begin_with_their_lane_however_many_lanes_the_fleet_has(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    with Journal(file, lanes=3) as journal:
        for step in setup(1):
            journal.sent(step)
    sent = list(read(file).all())
    assert {lane_of_id(each.id, 3) for each in sent} == {lane_of("setup", 3)}
    assert [each.id for each in sent] == [journal.id_of(step, 0) for step in setup(1)]


def test_a_journal_that_was_cut_off_still_has_its_requests(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    first, second, *_ = setup(1)
    with Journal(file) as journal:
        journal.sent(first)
        journal.answered(first, [200])
        journal.sent(second)
    file.write_text(file.read_text() + '{"answered": {"stre')
    statuses = [sent.status for sent in read(file).all()]
    assert statuses == [200, None]


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"other": 1}', '{"foreign": {}}', "1"])
def test_another_file_is_refused_with_the_wrong_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "journal"
    file.write_text(f"{line}\n")
    with pytest.raises(InvalidJournal, match=":1: no line of a journal"):
        read(file)
