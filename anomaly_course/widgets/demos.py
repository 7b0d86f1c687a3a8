"""What the demo notebooks share: the profile, and what to do while nothing is trained."""

import os
from collections.abc import Callable

import ipywidgets

from anomaly_course.widgets.gallery import gallery
from anomaly_course.widgets.runs import live_run, recorded_runs, scored_split
from anomaly_course.widgets.threshold import threshold_studio
from anomaly_course.widgets.trained import Offer, found_models, loaded
from anomaly_lib.base.reproducibility import make_deterministic
from anomaly_lib.figures.style import use_style
from anomaly_lib.methods.checkpoints import TrainedModel
from anomaly_lib.params import Params, load_params

PROFILE = "ANOMALY_DEMO_PROFILE"
"""Environment variable with the params file of the profile whose models are shown; `make demo PROFILE=...` sets it."""


def demo_params() -> Params:
    """The params of the profile to show, threads pinned, and the project's style set.

    Raises InputError as ``load_params``.
    """
    params = load_params(os.environ.get(PROFILE) or "params.yaml")
    make_deterministic(params.threads)
    use_style()
    return params


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
        names = ("pixels", "pixel_threshold", "unseen", "zeros")
        return threshold_studio(*scored.pair, scored.threshold, **{name: getattr(scored, name) for name in names})

    return with_a_model(params, method, category, build)


def gallery_demo(params: Params) -> ipywidgets.Widget:
    """The gallery of all evaluated runs; without any, of a small DFR that is fitted when asked for."""
    runs = recorded_runs(params)
    if runs:
        return gallery(runs)
    first = params.categories[0]
    return with_a_model(params, "dfr", first, lambda model: gallery([live_run(params, model)]))
