"""A figure that follows its controls.

The picture is an HTML widget with an ``img``, which has alternative text, not an Output widget: with those,
papermill's client waits for ever now and then (measured: 3 of 6 runs of a notebook that ends with one).
"""

import base64
import html
import io
from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def picture_with_controls(
    draw: Callable[..., Figure], controls: dict[str, ipywidgets.Widget], alt: str
) -> ipywidgets.VBox:
    """Controls above the figure that ``draw(**values)`` returns, drawn anew whenever a value changes.

    ``alt`` describes the picture to people who do not see it. The reset button restores the first values.
    """
    first = {name: control.value for name, control in controls.items()}
    picture = ipywidgets.HTML()
    reset = ipywidgets.Button(description="reset", tooltip="back to the first values")

    def redraw(change=None) -> None:
        figure = draw(**{name: control.value for name, control in controls.items()})
        picture.value = f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{_png(figure)}">'

    def restore(button) -> None:
        for name, control in controls.items():
            control.value = first[name]

    for control in controls.values():
        control.observe(redraw, "value")
    reset.on_click(restore)
    redraw()
    return ipywidgets.VBox([ipywidgets.HBox([*controls.values(), reset]), picture])


def _png(figure: Figure) -> str:
    """The figure as PNG in base64; closes it, or the inline backend would show it a second time."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    plt.close(figure)
    return base64.b64encode(stream.getvalue()).decode()
