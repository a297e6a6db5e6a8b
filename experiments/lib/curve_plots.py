"""A picture of what operations cost among many (curves.py)."""

import matplotlib.pyplot as plt

from . import curves

_PANELS = ("processes", "threads", "mappings")


def growth(comparison):
    """A panel for each thing that there are many of: instructions over those among ten; the bar in grey."""
    if not comparison.curves:
        return None
    figure, panels = plt.subplots(1, len(_PANELS), figsize=(13, 4.6), sharey=True)
    for axes, panel in zip(panels, _PANELS):
        largest = curves.FROM
        for mode, figures in comparison.curves.items():
            for index, (name, points) in enumerate(sorted((name, points) for name, points in curves.of(figures).items()
                                                          if name.startswith(panel + "-"))):
                base = next((value for count, value in points if count == curves.FROM), None)
                points = [(count, value) for count, value in points if count >= curves.FROM]
                if base is None:
                    continue
                largest = max(largest, points[-1][0])
                first = mode == next(iter(comparison.curves))
                axes.plot([count for count, _ in points], [value.instructions / base.instructions for _, value in points],
                          color=plt.get_cmap("tab10")(index), linestyle="-" if first else "--", marker="o", markersize=3, linewidth=1.2,
                          label=curves.TITLES.get(name, name) if first else None)
        counts = [10 ** (1 + step / 20) for step in range(100) if 10 ** (1 + step / 20) <= largest] + [largest]
        axes.plot(counts, [curves.most(1, count) for count in counts], color="#9ca3af", linewidth=2)
        axes.set_xscale("log")
        axes.set_xlabel(panel)
        axes.legend(fontsize=7, loc="upper left")
    modes = list(comparison.curves)
    panels[0].set_ylabel("instructions over those among ten\n" + "; ".join(
        f"{mode} {'solid' if index == 0 else 'dashed'}" for index, mode in enumerate(modes)))
    figure.tight_layout()
    return figure
