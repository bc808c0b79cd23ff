from ops.commands.provision.lane_ddl import lane_ddl, views_ddl
from ops.runtime.settings import Settings
from schema import LEDGER_TABLE

SETTINGS = Settings.parse({"LANES": "3"})
DATASET = SETTINGS.dataset_path


def test_a_lane_is_a_ledger_by_hour_its_rejected_by_day_and_a_head_of_one_row() -> None:
    ledger, rejected, head = lane_ddl(SETTINGS, 2).splitlines()
    assert ledger.startswith(f"CREATE TABLE IF NOT EXISTS `{DATASET}.gatekeeper_ledger_02` (`id` ")
    assert "PARTITION BY TIMESTAMP_TRUNC(settled_at, HOUR) CLUSTER BY id" in ledger
    assert "partition_expiration_days=30" in ledger
    created = f"CREATE TABLE IF NOT EXISTS `{DATASET}.gatekeeper_rejected_02` (`id` "
    assert rejected.startswith(created)
    assert "PARTITION BY TIMESTAMP_TRUNC(settled_at, DAY)" in rejected
    assert "partition_expiration_days=90" in rejected
    assert head == (
        f"CREATE TABLE IF NOT EXISTS `{DATASET}.gatekeeper_lane_02` AS SELECT 0 AS epoch, "
        "3 AS lanes, CAST(NULL AS STRING) AS suspect, 0 AS attempts;"
    )


def test_the_view_is_over_every_lane() -> None:
    text = views_ddl(SETTINGS)[LEDGER_TABLE]
    assert text.startswith(f"CREATE OR REPLACE VIEW `{DATASET}.gatekeeper_ledger` AS SELECT id,")
    found = [f"`{DATASET}.gatekeeper_ledger_0{lane}`" in text for lane in range(4)]
    assert found == [True] * 3 + [False]
