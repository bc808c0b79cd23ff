"""`gatekeeper contract diff`: reads both versions and prints what has changed."""

from collections.abc import Sequence
from pathlib import Path

from ops.commands.console import PlainConsole, styled
from ops.commands.contract.contract_change import Compatibility, ContractChange
from ops.commands.contract.contract_changes import contract_changes
from ops.commands.contract.contract_paths import read_paths
from ops.commands.contract.version_remarks import version_remarks
from ops.runtime.terminal import write_json

_COLOURS = {Compatibility.BREAKING: "bold red", Compatibility.COMPATIBLE: "green"}


def print_diff(old: Path, new: Path, *, as_json: bool) -> bool:
    """Print the changes; return whether one is breaking. Raises CommandFailed."""
    before, after = read_paths([old]), read_paths([new])
    changes = list(contract_changes(before, after))
    remarks = list(version_remarks(before, after, changes))
    is_breaking = any(each.compatibility is Compatibility.BREAKING for each in changes)
    if as_json:
        listed = [each._asdict() for each in changes]
        write_json({"breaking": is_breaking, "changes": listed, "versions": remarks})
    else:
        _print_text(changes, remarks)
    return is_breaking


def _print_text(changes: Sequence[ContractChange], remarks: Sequence[str]) -> None:
    console = PlainConsole(soft_wrap=True)
    for each in changes:
        state = styled(f"{each.compatibility:10}", _COLOURS[each.compatibility])
        console.print(state, styled(f"{each.place}: {each.message}"))
    for remark in remarks:
        console.print(styled(f"{'version':10}", "yellow"), styled(remark))
    if not changes:
        console.print("nothing has changed")
