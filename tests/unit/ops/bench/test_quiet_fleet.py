"""The report of an idle fleet."""

from ops.bench.quiet_fleet import IdleProcess, QuietFindings, Start, Starts, result_of

FOUND = QuietFindings(
    [Starts(Start(9.0, 12.0), Start(5.0, 8.0)), Starts(Start(9.0, 12.0), Start(6.0, 8.0))],
    {"server_00": IdleProcess(0.5, 60, 90), "bigquery": IdleProcess(0.25, 200, 260)},
)


def test_the_targets_are_for_a_second_start_and_for_all_processes_together() -> None:
    checks = {each.name: each.samples.values for each in result_of(FOUND).checks}
    assert checks == {
        "quiet_start": (5.0, 6.0),
        "quiet_idle": (0.75,),
        "quiet_memory": (260,),
    }


def test_the_tables_have_both_starts_each_process_and_the_sum() -> None:
    starts, idle = result_of(FOUND).tables
    assert starts.rows == (
        ("empty", "9.0 (9.0 to 9.0)", "12.0 (12.0 to 12.0)"),
        ("used", "5.5 (5.0 to 6.0)", "8.0 (8.0 to 8.0)"),
    )
    assert idle.rows == (
        ("server_00", "0.50", "60", "90"),
        ("bigquery", "0.25", "200", "260"),
        ("all", "0.75", "260", "350"),
    )
