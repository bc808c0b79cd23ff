"""A faster search through sqlglot's trees.

Each of some sixty rules searches the whole tree of each statement. sqlglot does it with three
generators, one in another, for each node.
"""

from collections.abc import Iterator
from typing import Any

from sqlglot import exp


def use() -> None:
    """Replace sqlglot's search."""
    tree: Any = exp.Expression
    tree.find_all = find_all


def find_all(tree: exp.Expr, *kinds: type[exp.Expr], bfs: bool = True) -> Iterator[exp.Expr]:
    """Yield the nodes of these types in sqlglot's order, the tree itself among them.

    As in sqlglot, the caller may change a node before the search goes on to its children.
    """
    if not bfs:
        yield from (node for node in tree.dfs() if isinstance(node, kinds))
        return
    nodes = [tree]
    for node in nodes:  # grows meanwhile
        if isinstance(node, kinds):
            yield node
        for value in node.args.values():
            if isinstance(value, list):
                nodes += [each for each in value if isinstance(each, exp.Expr)]
            elif isinstance(value, exp.Expr):
                nodes.append(value)
