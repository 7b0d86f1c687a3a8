"""A figure that follows its controls.

The picture is an HTML widget with an ``img``, which has alternative text, not an Output widget: with those,
papermill's client waits for ever now and then (measured: 3 of 6 runs of a notebook that ends with one).
"""

import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anywidget
import ipywidgets
from matplotlib.figure import Figure

from anomaly_lib.base.errors import InputError
from anomaly_lib.figures.display import image_element, png

Draw = Callable[..., Figure]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


# JupyterLab's shortcuts heed the attribute on the element that has the focus, not on one around it.
KEYS_STAY = """
const keep = ({ target }) => {
  if (target.closest('.jupyter-widgets')) target.setAttribute('data-lm-suppress-shortcuts', 'true');
};
export default { initialize() {
  document.addEventListener('focusin', keep);
  return () => document.removeEventListener('focusin', keep);
} };
"""


class KeysStay(anywidget.AnyWidget):
    """Keeps JupyterLab from moving between cells when an arrow key is meant for a control of a widget.

    It is never shown: that the page knows of it is enough. Without it a dropdown in JupyterLab does not answer to the
    keyboard (seen in Chromium).
    """

    _esm = KEYS_STAY


class Studio(ipywidgets.VBox):
    """A widget that brings a still picture of its first state along, for pages without a kernel.

    JupyterLab and Voila show the widget; a reader of the saved notebook, of the site or of the slides, where a widget
    is an empty place, gets the picture with its alternative text.
    """

    def __init__(self, children, still: bytes, alt: str):
        super().__init__(children)
        self.still, self.alt, self.keys_stay = still, alt, KeysStay()

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        if bundle and WIDGET_VIEW in bundle:
            caption = "A still of the first setting. With a running kernel the controls can be moved."
            figure = f"{image_element(self.still, self.alt)}<figcaption>{caption}</figcaption>"
            bundle["text/html"] = f'<figure class="widget-still">{figure}</figure>'
        return bundle


class BusySign(ipywidgets.HTML):
    """Says that something is being worked out, also to screen readers; empty while nothing is."""

    WORDS = "drawing…"

    @contextmanager
    def on(self, words: str = WORDS) -> Iterator[None]:
        """Shown inside the block, and gone after it, however it ends."""
        self.value = f'<span class="anomaly-busy" role="status">{html.escape(words)}</span>'
        try:
            yield
        finally:
            self.value = ""


def picture_with_controls(draw: Draw, controls: dict[str, ipywidgets.Widget], alt: str) -> Studio:
    """Controls above the figure that ``draw(**values)`` returns, drawn anew whenever a value changes.

    ``alt`` describes the picture to people who do not see it; the values of the controls and the titles in the figure
    are added, so that the text says what is shown at the moment. The reset button restores the first values. The
    figure's label, HTML of ``verdict_element``, stands above it; an InputError of ``draw`` stands in its place.
    """
    first = {name: control.value for name, control in controls.items()}
    picture, busy, reset = ipywidgets.HTML(), BusySign(), reset_button()
    still: dict[str, str | bytes] = {"still": b"", "alt": alt}
    restoring = False

    def redraw(change=None) -> None:
        if restoring:
            return
        with busy.on():
            try:
                figure = draw(**{name: control.value for name, control in controls.items()})
            except InputError as error:
                picture.value = f'<p role="alert">{html.escape(str(error))}</p>'
                return
            still["alt"] = f"{alt}. {state_in_words(controls.values(), figure)}"
            still["still"] = png(figure)
            picture.value = figure.get_label() + image_element(still["still"], still["alt"])

    def restore(button) -> None:
        nonlocal restoring
        restoring = True
        for name, control in controls.items():
            control.value = first[name]
        restoring = False
        redraw()

    for control in controls.values():
        control.observe(redraw, "value")
    reset.on_click(restore)
    redraw()
    return Studio([controls_row([*controls.values(), reset, busy]), picture], **still)


def verdict_element(words: str, colour: str) -> str:
    """What a class should read from the back row: white words on a colour, larger still where ``projector`` is."""
    style = (
        f"color: #fff; background: {colour}; padding: 0.1em 0.4em; margin: 0.2em 0; line-height: 1.3; font-weight: bold"
    )
    size = "font-size: var(--anomaly-verdict, 20px)"
    return f'<p class="anomaly-verdict" style="{style}; {size}">{html.escape(words)}</p>'


def controls_row(widgets: list[ipywidgets.Widget]) -> ipywidgets.HBox:
    """Side by side, in as many lines as the width of the page asks for."""
    return ipywidgets.HBox(widgets, layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"))


def reset_button() -> ipywidgets.Button:
    """A button that says what it does."""
    return ipywidgets.Button(description="reset", tooltip="back to the first values")


def state_in_words(controls, figure: Figure) -> str:
    """'threshold 0.5, seed 3. 12 % of the image': the controls' values and the figure's titles."""
    values = ", ".join(f"{control.description} {_value_in_words(control.value)}" for control in controls)
    titles = [figure.get_suptitle(), *(axis.get_title() for axis in figure.axes)]
    return ". ".join([values, *(" ".join(title.split()) for title in titles if title)])


def _value_in_words(value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " to ".join(map(_value_in_words, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
