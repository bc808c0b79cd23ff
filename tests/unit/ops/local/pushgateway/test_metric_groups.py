from pathlib import Path

import pytest

from ops.local.pushgateway.exposition import parse, render
from ops.local.pushgateway.metric_groups import Inconsistent, MetricGroups

KEY = (("instance", "i"), ("job", "j"))


def shown(groups: MetricGroups, name: str) -> str:
    return render(family for family in groups.families() if family.name.startswith(name))


def test_a_refused_push_leaves_the_group_as_it_was() -> None:
    groups = MetricGroups(clock=lambda: 7.0)
    groups.push(KEY, parse("# TYPE a counter\na 1\n"), replace=True)
    with pytest.raises(Inconsistent):
        groups.push((("job", "k"),), parse("b 1\n# TYPE a gauge\na 2\n"), replace=True)
    with pytest.raises(Inconsistent):
        groups.push(KEY, parse("b 1\na 1\na 2\n"), replace=False)
    assert shown(groups, "a") == '# TYPE a counter\na{instance="i",job="j"} 1\n'
    assert shown(groups, "b") == ""
    assert 'push_failure_time_seconds{instance="i",job="j"} 7\n' in shown(groups, "push_failure")


def test_a_group_may_change_the_type_of_its_own_metric() -> None:
    groups = MetricGroups()
    groups.push(KEY, parse("# TYPE a counter\na 1\n"), replace=True)
    groups.push(KEY, parse("# TYPE a gauge\na 2\n"), replace=True)
    assert shown(groups, "a") == '# TYPE a gauge\na{instance="i",job="j"} 2\n'


def test_the_first_help_text_is_used_for_all() -> None:
    groups = MetricGroups()
    groups.push((("job", "b"),), parse("# HELP a Second.\na 1\n"), replace=True)
    groups.push((("job", "a"),), parse("# HELP a First.\na 1\n"), replace=True)
    assert shown(groups, "a").startswith("# HELP a First.\n# TYPE a untyped\n")


def test_groups_survive_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "groups.json"
    before = MetricGroups(file, clock=lambda: 7.0)
    before.push(KEY, parse('# HELP a A.\n# TYPE a gauge\na{x="1"} NaN\nb +Inf\n'), replace=True)
    before.save()
    assert render(MetricGroups(file).families()) == render(before.families())
