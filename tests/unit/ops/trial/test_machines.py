from pathlib import Path

from ops.trial.machines import MachinePlan, build


def test_machines_share_the_services_and_have_their_own_state(tmp_path: Path) -> None:
    plan = MachinePlan(3, {"worker": ["a.launcher"]}, ["worker"], "")
    machines = build(tmp_path, plan, {"LEASE_SECONDS": "11"})
    first, *others = machines
    services = first.fleet.settings
    assert services.local
    assert len({each.fleet.settings.state_dir for each in machines}) == 3
    assert len({each.fleet.address for each in machines}) == 3
    assert len({each.fleet.settings.instance for each in machines}) == 3
    assert len({each.clocks["worker"] for each in machines}) == 3
    for each in machines:
        clock = each.clocks["worker"]
        conf = each.fleet.conf.read_text()
        assert f"ops.fleet.entrypoint ops.rig.clock {clock} a.launcher workers" in conf
        assert each.fleet.settings.lease_seconds == 11
        assert each.pubsub._upstream == services.pubsub_emulator_host
        assert each.bigquery._upstream == services.bigquery_emulator_host
        assert each.pubsub._held is first.pubsub._held
    for each in others:
        settings = each.fleet.settings
        assert not settings.local
        assert settings.subscription_path == services.subscription_path
        assert settings.dataset_path == services.dataset_path
        assert settings.pubsub_emulator_host != services.pubsub_emulator_host


def test_a_machine_that_is_alone_has_the_processes_of_supervisord_conf(tmp_path: Path) -> None:
    (alone,) = build(tmp_path, MachinePlan(1, {}, [], ""), {})
    assert "numprocs = 1" not in alone.fleet.conf.read_text()
