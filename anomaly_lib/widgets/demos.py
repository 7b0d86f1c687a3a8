"""What the demo notebooks share: the profile, large type on a projector, and what to do while nothing is trained."""

import os
from collections.abc import Callable

import ipywidgets
import matplotlib as mpl
from IPython.display import HTML

from anomaly_lib.methods.checkpoints import TrainedModel
from anomaly_lib.params import Params, load_params
from anomaly_lib.reporting.style import use_style
from anomaly_lib.reproducibility import make_deterministic
from anomaly_lib.widgets.gallery import gallery
from anomaly_lib.widgets.runs import live_run, recorded_runs, scored_split
from anomaly_lib.widgets.threshold import threshold_studio
from anomaly_lib.widgets.trained import Offer, found_models, loaded

PROFILE = "ANOMALY_DEMO_PROFILE"
"""Environment variable with the params file of the profile whose models are shown; `make demo PROFILE=...` sets it."""
PROJECTOR_DPI = 140
# In Voila the page's body is the notebook; in JupyterLab it is not, and these rules do nothing.
LARGE = """<style>
body.jp-Notebook { --jp-widgets-font-size: 20px; --jp-widgets-inline-height: 40px; --jp-content-font-size1: 20px;
  --jp-widgets-inline-width: 430px; --jp-widgets-inline-width-short: 200px; --jp-widgets-inline-label-width: 130px; }
body.jp-Notebook .jp-RenderedHTMLCommon { font-size: 22px; }
body.jp-Notebook .widget-html-content img { width: 100%; max-width: 1500px; }
body.jp-Notebook .widget-html, body.jp-Notebook .widget-html-content { height: auto; line-height: 1.4; }
body.jp-Notebook .anomaly-panel { width: 22em; }
body.jp-Notebook .anomaly-busy { font-weight: bold; }
body.jp-Notebook button:focus-visible, body.jp-Notebook select:focus-visible,
body.jp-Notebook .noUi-handle:focus-visible { outline: 4px solid #0072b2; }
</style>"""


def demo_params() -> Params:
    """The params of the profile to show, threads pinned, and the project's style set.

    Raises InputError as ``load_params``.
    """
    params = load_params(os.environ.get(PROFILE) or "params.yaml")
    make_deterministic(params.threads)
    use_style()
    return params


def projector() -> HTML:
    """Large type and sharp pictures in Voila; nothing in JupyterLab."""
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        mpl.rcParams["savefig.dpi"] = PROJECTOR_DPI
    return HTML(LARGE)


def with_a_model(
    params: Params, method: str, category: str, build: Callable[[TrainedModel], ipywidgets.Widget]
) -> ipywidgets.VBox:
    """What ``build`` makes of the trained model of the profile's first seed; without it an offer to fit a small DFR."""
    box = ipywidgets.VBox()
    folder = found_models(params, category).get(method)

    def show(model: TrainedModel) -> None:
        box.children = (build(model),)

    if folder:
        show(loaded(folder))
    else:
        box.children = (Offer(params, category, show),)
    return box


def threshold_demo(params: Params, method: str, category: str) -> ipywidgets.VBox:
    """The threshold studio over a trained model's test images; without the model the offer to fit a small DFR."""

    def build(model: TrainedModel) -> ipywidgets.Widget:
        scored = scored_split(params, model)
        further = {"pixels": scored.pixels, "pixel_threshold": scored.pixel_threshold, "unseen": scored.unseen}
        return threshold_studio(*scored.pair, scored.threshold, **further)

    return with_a_model(params, method, category, build)


def gallery_demo(params: Params) -> ipywidgets.Widget:
    """The gallery of all evaluated runs; without any, of a small DFR that is fitted when asked for."""
    runs = recorded_runs(params)
    if runs:
        return gallery(runs)
    first = params.categories[0]
    return with_a_model(params, "dfr", first, lambda model: gallery([live_run(params, model)]))


def trained_in_words(params: Params) -> str:
    """Markdown: which methods are trained on which category, and how to train those that are not."""
    lines = []
    for category in params.categories:
        names = ", ".join(name.upper() for name in found_models(params, category))
        lines.append(f"* **{category}**: {names or 'none yet'}")
    missing = any(len(found_models(params, category)) < len(params.methods) for category in params.categories)
    remedy = (
        "\n\n`make repro` trains what is missing; until then a small DFR can be fitted in the demos." if missing else ""
    )
    return "Trained models of this profile:\n\n" + "\n".join(lines) + remedy
