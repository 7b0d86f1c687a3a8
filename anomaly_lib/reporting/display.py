"""Show a figure in a notebook, with alternative text for people who do not see it."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import Image, display
from matplotlib.figure import Figure

from anomaly_lib.reporting.style import save_figure


def show(figure: Figure, alt: str) -> None:
    """Display the figure as a PNG whose metadata carry ``alt``; JupyterLab and nbconvert make it the image's text.

    Closes the figure, or the inline backend would show it a second time.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    plt.close(figure)
    display(Image(stream.getvalue(), format="png", alt=alt))


def save_and_show(figure: Figure, file: Path, alt: str) -> None:
    """Write the figure to a PNG file, and display it as ``show`` does."""
    save_figure(figure, file)
    show(figure, alt)
