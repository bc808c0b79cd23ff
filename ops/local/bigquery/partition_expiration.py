"""The option `partition_expiration_days` is reported as BigQuery does. No partition is deleted."""

from typing import Any, Final

from local_bigquery.catalog import ddl
from sqlglot import exp

_DAY_MILLISECONDS: Final = 86_400_000
_OPTION: Final = "partition_expiration_days"


def apply() -> None:
    table, alteration = ddl._table, ddl._alteration  # noqa: SLF001

    def table_with_expiration(
        tree: exp.Create, reference: tuple[str, str, str], evaluate: Any
    ) -> dict[str, Any]:
        resource: dict[str, Any] = table(tree, reference, evaluate)
        found = _expiration(tree.args.get("properties"))
        if found and "timePartitioning" in resource:
            resource["timePartitioning"] |= found
        return resource

    def alteration_with_expiration(
        stored: Any, action: exp.Expr, reference: tuple[str, str, str], evaluate: Any
    ) -> Any:
        changes = alteration(stored, action, reference, evaluate)
        found = _expiration(action) if isinstance(action, exp.AlterSet) else {}
        if found and stored.timePartitioning:
            changes |= {"timePartitioning": stored.timePartitioning.dump() | found}
        return changes

    ddl._table, ddl._alteration = table_with_expiration, alteration_with_expiration  # noqa: SLF001


def _expiration(options: exp.Expr | None) -> dict[str, str]:
    """Return what a list of options with a number of days means for the partitioning."""
    for option in options.find_all(exp.Property) if options else ():
        days = option.args.get("value")
        if option.name == _OPTION and isinstance(days, exp.Literal):
            return {"expirationMs": str(int(float(days.this) * _DAY_MILLISECONDS))}
    return {}
