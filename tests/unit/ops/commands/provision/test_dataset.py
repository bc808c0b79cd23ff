from ops.commands.provision.dataset import lane_ddl, view_ddl


def test_a_lane_is_a_ledger_partitioned_by_hour_and_a_head_of_one_row() -> None:
    ledger, head = lane_ddl("p.d", 7, 32, 30).splitlines()
    assert ledger.startswith("CREATE TABLE IF NOT EXISTS `p.d.gatekeeper_ledger_07` (`id` STRING")
    assert "PARTITION BY TIMESTAMP_TRUNC(settled_at, HOUR) CLUSTER BY id" in ledger
    assert "partition_expiration_days=30" in ledger
    assert head == (
        "CREATE TABLE IF NOT EXISTS `p.d.gatekeeper_lane_07` AS SELECT 0 AS epoch, 32 AS lanes, "
        "CAST(NULL AS STRING) AS suspect, 0 AS attempts;"
    )


def test_the_view_is_over_every_lane() -> None:
    text = view_ddl("p.d", 3)
    assert text.startswith("CREATE OR REPLACE VIEW `p.d.gatekeeper_ledger` AS SELECT id, state,")
    assert [f"`p.d.gatekeeper_ledger_0{lane}`" in text for lane in range(4)] == [True] * 3 + [False]
