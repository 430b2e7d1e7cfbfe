"""Pictures, drawn without a display: search curves, and a map of the embedding space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from archindex.core.disk import disk_errors
from archindex.evaluate.curves import mean_and_error

Floats = npt.NDArray[np.floating]

# Okabe and Ito's colours, which people with any colour vision can tell apart; the first is for the walk.
COLOURS: Final = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, FAINT = "#222222", "#8a8a8a"
DPI: Final = 150


def plot_curves(
    path: Path, curves: Mapping[str, Floats], *, optimum: float, objective: str, maximize: bool = True
) -> None:
    """Draw the mean best value so far of every strategy, with a band of one standard error.

    Parameters
    ----------
    path : Path
        PNG to write.
    curves : mapping from str to ndarray of shape (seeds, queries)
        Best value so far by strategy; the first one is drawn strongest.
    optimum : float
        Best value there is.
    objective : str
        What the values are.
    maximize : bool
        Which way is better.
    """
    figure, axes = _figure(7.6, 4.6)
    ends = []
    for i, (name, values) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        mean, error = mean_and_error(values)
        x = np.arange(1, len(mean) + 1)
        band = np.nan_to_num(error)
        axes.fill_between(x, mean - band, mean + band, color=colour, alpha=0.18, linewidth=0)
        axes.plot(x, mean, color=colour, linewidth=2.4 if i == 0 else 1.6, zorder=10 - i)
        ends.append((float(mean[-1]), name, colour))
    first = min(9, len(mean) - 1)
    start = [float(mean_and_error(values)[0][first]) for values in curves.values()]
    low, high = min(*start, optimum), max(*start, optimum)
    margin = 0.06 * (high - low) or 1.0
    axes.set_ylim((low, high + margin) if maximize else (low - margin, high))
    axes.axhline(optimum, color=INK, linewidth=1, linestyle=(0, (1, 2)))
    axes.annotate("optimum", (1, optimum), (4, 3), textcoords="offset points", color=INK, fontsize=8)
    axes.set_xlim(1, len(mean))
    _label_ends(axes, ends, len(mean))
    seeds = len(next(iter(curves.values())))
    axes.set_xlabel("architectures evaluated")
    axes.set_ylabel(f"best {objective} so far")
    axes.set_title(f"Mean of {seeds} seeds, band of one standard error", loc="left", fontsize=9, color=FAINT)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    _save(figure, path)


def plot_map(
    path: Path,
    vectors: Floats,
    values: Floats,
    asked: Sequence[int],
    improvements: Sequence[int],
    *,
    objective: str,
) -> None:
    """Draw all embeddings in their two principal directions, coloured by value, and the way of a search.

    Parameters
    ----------
    path : Path
        PNG to write.
    vectors : ndarray of shape (n, dim)
        Embeddings.
    values : ndarray of shape (n,)
        What colours them; NaN is left out.
    asked : sequence of int
        Rows that a search asked for, in order.
    improvements : sequence of int
        Places in `asked` at which a new best was found; the last one is the best.
    objective : str
        What the values are.
    """
    points, shares = principal_plane(vectors)
    figure, axes = _figure(7.6, 6.0)
    known = np.flatnonzero(np.isfinite(values))
    # Better ones are drawn later, on top; the worst twentieth shares one colour, or it would take the scale.
    order = known[np.argsort(values[known], kind="stable")]
    low, high = np.percentile(values[known], [5, 100])
    drawn = axes.scatter(
        points[order, 0],
        points[order, 1],
        c=values[order],
        cmap="viridis",
        vmin=low,
        vmax=high,
        s=5,
        alpha=0.55,
        linewidths=0,
    )
    visited = points[list(asked)]
    axes.scatter(
        visited[:, 0],
        visited[:, 1],
        s=26,
        facecolors="none",
        edgecolors=INK,
        linewidths=0.9,
        label="asked by the walk",
    )
    steps = visited[list(improvements)]
    axes.plot(steps[:, 0], steps[:, 1], color=COLOURS[0], linewidth=1.5, zorder=4)
    axes.scatter(
        steps[:-1, 0],
        steps[:-1, 1],
        s=26,
        color=COLOURS[0],
        zorder=5,
        label="a new best, with its query number",
    )
    axes.scatter(
        steps[-1:, 0],
        steps[-1:, 1],
        s=230,
        marker="*",
        color=COLOURS[0],
        edgecolors="white",
        zorder=6,
        label="best found",
    )
    for place, (x, y) in zip(improvements, steps, strict=True):
        axes.annotate(
            str(place + 1), (x, y), (5, 5), textcoords="offset points", fontsize=8, color=INK, zorder=7,
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
        )  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, extend="min")
    bar.solids.set_alpha(1)  # type: ignore[union-attr]
    bar.set_label(objective)
    bar.outline.set_visible(False)
    axes.set_xlabel(f"first principal direction ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"second ({shares[1]:.0%})")
    axes.set_title(f"{len(vectors):,} architectures by their embedding", loc="left", fontsize=9, color=FAINT)
    axes.legend(loc="best", fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
    _save(figure, path)


def principal_plane(vectors: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Project vectors on their two principal directions.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Coordinates; the sign of a direction is that which makes its largest entry positive.
    ndarray of float64, shape (2,)
        Shares of the variance.
    """
    centred = np.asarray(vectors, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    plane = directions[:, ::-1][:, :2]
    plane = plane * np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])
    return centred @ plane, variances[::-1][:2] / max(float(variances.sum()), 1e-300)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    return figure, axes


def _label_ends(axes: Axes, ends: list[tuple[float, str, str]], x: int) -> None:
    """Write each curve's name at its end, far enough apart to be read."""
    low, high = axes.get_ylim()
    apart = 0.045 * (high - low)
    y = low
    for value, name, colour in sorted(ends):
        y = max(value, y + apart)
        axes.annotate(
            name, (x, y), (6, 0), textcoords="offset points", color=colour, va="center", fontsize=9,
            annotation_clip=False,
        )  # fmt: skip


def _save(figure: Figure, path: Path) -> None:
    with disk_errors("a picture"):
        figure.savefig(path, dpi=DPI)
