"""The door to a terminal's tables and colours: texts are never markup, nor control characters."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ops.runtime.terminal import printable


class PlainConsole(Console):
    """A console that takes a string, and what it finds in any other object, as it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text, "\n"), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield segment._replace(text=printable(segment.text, "\n"))


def styled(text: str, style: str = "", keep: str = "") -> Text:
    r"""Return a text for a console or a table's cell; `keep` may be `\n`."""
    return Text(printable(text, keep), style)
