"""Draws a result's plots as SVG: the same numbers give the same bytes."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ops.bench.results import Plot
from ops.rig import RunFailed

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "gatekeeper",  # ids that do not change from run to run
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}
_COLOURS = ("#1f6feb", "#d1642a", "#2a9d5c", "#8250df")
_MAX_DOTS = 24
"""A line of at most this many points has a dot at each."""


def draw(plots: Collection[Plot], folder: Path) -> list[Path]:
    """Write one file for each plot and return them; raises RunFailed without matplotlib."""
    if not plots:
        return []
    try:
        import cycler  # noqa: PLC0415
        import matplotlib as mpl  # noqa: PLC0415  # takes a second, and only drawing needs it
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise RunFailed("drawing needs matplotlib: pip install matplotlib") from None
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{plot.name}.svg" for plot in plots]
    with mpl.rc_context({**_STYLE, "axes.prop_cycle": cycler.cycler(color=_COLOURS)}):
        for plot, file in zip(plots, files, strict=True):
            figure = Figure(figsize=(6.4, 3.4), layout="constrained")
            _draw(figure.subplots(), plot)
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return files


def _draw(axes: Any, plot: Plot) -> None:
    (_draw_bars if plot.ticks else _draw_lines)(axes, plot)
    if plot.logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_title(plot.title, loc="left")
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    if len(plot.series) > 1:
        axes.legend(frameon=False)


def _draw_lines(axes: Any, plot: Plot) -> None:
    for name, points in plot.series.items():
        dots = "o" if len(points) <= _MAX_DOTS else ""
        x, y = zip(*points, strict=True) if points else ((), ())
        axes.plot(x, y, label=name, marker=dots, markersize=4, linewidth=1.4)


def _draw_bars(axes: Any, plot: Plot) -> None:
    width = 0.8 / len(plot.series)
    for number, (name, points) in enumerate(plot.series.items()):
        left = [x - 0.4 + width * (number + 0.5) for x, _ in points]
        axes.bar(left, [y for _, y in points], width * 0.92, label=name)
    axes.set_xticks(range(len(plot.ticks)), plot.ticks)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.25)  # room for the legend
