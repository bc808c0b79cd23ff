import io
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from ops.commands.console import PlainConsole, styled

ESCAPES_OF_RICH = re.compile(r"\x1b\[[0-9;]*m")
TEXTS = st.lists(
    st.sampled_from(["[/x]", "[red]", ":smile:", "\x1b[2J", "\x9b", "\x07", "\r", "\u202e", "\n"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    max_size=6,
).map("".join)


def printed(*renderables: object, colors: bool = False) -> str:
    file = io.StringIO()
    system = "truecolor" if colors else None
    console = PlainConsole(file=file, width=200, force_terminal=colors, color_system=system)
    for each in renderables:
        console.print(each)
    return ESCAPES_OF_RICH.sub("", file.getvalue())


def test_markup_emoji_and_control_characters_are_printed_as_they_are() -> None:
    assert printed("[/x] [red]a :smile: \x1b[2J") == "[/x] [red]a :smile: \\x1b[2J\n"


def test_a_cell_is_as_wide_as_its_escapes() -> None:
    table = Table("[/head]")
    table.add_row(styled("\x1b[2J" * 5, "red"))
    table.add_row("\x1b[2J" * 5)
    assert printed(table).count("\\x1b[2J" * 5) == 2
    assert "[/head]" in printed(table)


@given(TEXTS, st.booleans())
def test_nothing_printed_has_control_characters(text: str, colors: bool) -> None:  # noqa: FBT001
    table = Table(text, title=text)
    table.add_row(text)
    table.add_row(styled(text, "red"))
    table.add_row(Text(text))
    found = printed(text, Text(text), styled(text), table, Markdown(text), colors=colors)
    assert found.replace("\n", "").isprintable()
