"""How often predictions are right against how sure they are."""

from collections.abc import Sequence

from longtail.reports.plots.drawing import COLOURS, MARKERS, drawing, svg

Bins = tuple[Sequence[float], Sequence[float]]  # mean confidence and accuracy of each


def reliability_diagrams(panels: Sequence[tuple[str, Sequence[tuple[str, Bins]]]]) -> str:
    """Draw accuracy against confidence, a panel for each group with its curves, and what would be exact as a line.

    Args:
        panels: title and curves by their names.
    """
    rows = (len(panels) + 1) // 2
    with drawing(0.5 + 2.5 * rows) as figure:
        places = figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).ravel().tolist()
        for axes in places[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, curves) in zip(places, panels, strict=False):
            axes.plot((0, 100), (0, 100), color="#6b7480", linewidth=1)
            for index, (name, (confidence, accuracy)) in enumerate(curves):
                axes.plot(
                    [100 * value for value in confidence],
                    [100 * value for value in accuracy],
                    color=COLOURS[index],
                    marker=MARKERS[index],
                    markersize=4,
                    linewidth=1.4,
                    label=name,
                )
            axes.set_title(title, fontsize=11)
            axes.set_xlim(0, 100)
            axes.set_ylim(0, 100)
            axes.grid()
        figure.supxlabel("confidence (%)", fontsize=11)
        figure.supylabel("accuracy (%)", fontsize=11)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
        return svg(figure, "Accuracy against confidence")
