"""The plot that opens docs/performance.md: time against tokens, a panel for each operation."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.operations import OPERATIONS
from bench.race import CONTESTANTS, PRODUCT
from bench.results import Results

_COLORS = ("#0b5fff", "#444444", "#d9480f", "#2b8a3e", "#999999")
_MARKERS = "osD^v"
_NOTHING_SECONDS = 0.001  # what no request takes; there is no place for it on such a scale


def draw(results: Results, path: Path) -> None:
    """Write it as SVG: the same for the same results."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif", "font.size": 9})
    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True).flat
    for operation, panel in zip(OPERATIONS, panels, strict=True):
        for (name, label), color, marker in zip(CONTESTANTS.items(), _COLORS, _MARKERS, strict=True):
            found = [(count, results.seconds(name, operation, count)) for count in results.tokens()]
            points = [(count, spread) for count, spread in found if spread and spread.median > _NOTHING_SECONDS]
            medians = [spread.median for _, spread in points]
            below = [spread.median - spread.range[0] for _, spread in points]
            above = [spread.range[1] - spread.median for _, spread in points]
            panel.errorbar(
                [count for count, _ in points],
                medians,
                yerr=(below, above),
                label=label,
                color=color,
                marker=marker,
                markersize=4,
                linewidth=2 if name == PRODUCT else 1,
                capsize=2,
                zorder=3 if name == PRODUCT else 2,
            )
        panel.set(title=operation, xscale="log", yscale="log")
        panel.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
        panel.set_xticks(results.tokens(), [f"{count:,}" for count in results.tokens()])
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
    figure.supxlabel("tokens")
    figure.supylabel("seconds")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
