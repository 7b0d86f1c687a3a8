"""Trained models for widgets: those that the pipeline made, or a small DFR that is fitted on the spot."""

import html
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import ipywidgets
import numpy as np

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.progress import Listener, progress_told_to
from anomaly_lib.base.reproducibility import derived_seed
from anomaly_lib.data import Category, Sample, load_category, split_normals
from anomaly_lib.data.regions import find_region
from anomaly_lib.evaluation.thresholds import calibrate
from anomaly_lib.methods.checkpoints import RECORD, TrainedModel, load_model
from anomaly_lib.params import Params, project_root
from anomaly_lib.pipeline.runs import find_model
from anomaly_lib.registry import method_class, params_class

SAMPLE, MINUTES = "sample", 17
"""The root's profile, and how long `make repro` takes with it (README)."""
QUICK_STEPS = 300
"""Of the small DFR: less than a third of the default; its maps are rougher, its thresholds just as honest."""


def found_models(params: Params, category: str, seed: int | None = None) -> dict[str, Path]:
    """{method: folder} of the profile's methods that have a trained model of this category and seed (default: first).

    Raises nothing: a method without a model is left out.
    """
    found = {}
    for method in params.methods:
        try:
            found[method] = find_model(params, method, category, seed)
        except InputError:
            continue
    return found


def how_to_train(params: Params, category: str) -> str:
    """One line: models are missing, the command that makes them and, for the sample data, how long it takes."""
    command = "make repro" if params.profile == SAMPLE else f"make repro PROFILE={params.profile}"
    time = f", {MINUTES} minutes on a laptop" if params.profile == SAMPLE else ""
    return f"No model of {category} yet: {command}{time}. Or fit a small DFR now, in about a minute."


def loaded(folder: Path) -> TrainedModel:
    """The model of a folder, read once while its record stays the same."""
    return _loaded(folder, (folder / RECORD).stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _loaded(folder: Path, changed: int) -> TrainedModel:
    return load_model(folder)


def split_of(params: Params, found: Category, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """(fit, held_out) normal samples of a training with this seed: the same draw as in notebook 03_train."""
    return split_normals(found.train, params.split.held_out, derived_seed(seed, "split"))


def quick_dfr(params: Params, category: str, steps: int = QUICK_STEPS) -> TrainedModel:
    """A small DFR of a category, fitted now, with thresholds from held-out normals as in the pipeline; seed 0.

    It is not saved. Raises InputError as ``load_category`` and ``Method.images``.
    """
    settings = params.methods.get("dfr") or params_class("dfr")()
    method = method_class("dfr")(settings.model_copy(update={"steps": steps, "epochs": None}), seed=0)
    found = load_category(project_root() / params.data, category)
    fit, held_out = split_of(params, found, method.seed)
    method.fit(method.images(fit))
    region = find_region(params.evaluation, found.folder, method.image_size)
    scored = method.score(method.images(held_out), region=region)
    thresholds = calibrate(scored.scores, scored.maps, params.thresholds, region)
    return TrainedModel(method, category, thresholds, "fitted just now")


def normal_score(params: Params, model: TrainedModel) -> float:
    """The median image score of the normals that were held out of the model's training; a model's record lacks it.

    Takes as long as scoring them, once for each model. Raises InputError as ``load_category`` and ``Method.images``.
    """
    key = (params.data, model.method.name, model.category, model.digest)
    if key not in _normal_scores:
        found, size = load_category(project_root() / params.data, model.category), model.method.params.image_size
        region = find_region(params.evaluation, found.folder, size)
        images = model.method.images(split_of(params, found, model.method.seed)[1])
        _normal_scores[key] = float(np.median(model.method.score(images, region=region).scores))
    return _normal_scores[key]


_normal_scores: dict[tuple[str, ...], float] = {}


class Offer(ipywidgets.VBox):
    """Says that no model is trained and by which command one comes, and offers to fit a small DFR at once.

    ``then(model)`` is called with it. The bar and the words beside it say how far the fitting is.
    """

    def __init__(self, params: Params, category: str, then: Callable[[TrainedModel], None]):
        self.params, self.category, self.then = params, category, then
        words = html.escape(how_to_train(params, category))
        self.button = ipywidgets.Button(
            description=f"fit a small DFR on {category} now", layout=ipywidgets.Layout(width="auto")
        )
        self.bar = ipywidgets.FloatProgress(0, min=0, max=1, layout=ipywidgets.Layout(visibility="hidden"))
        self.state = ipywidgets.HTML()
        self.button.on_click(self._fit)
        row = ipywidgets.HBox([self.button, self.bar, self.state])
        super().__init__([ipywidgets.HTML(f'<p class="anomaly-note">{words}</p>'), row])

    def _fit(self, button) -> None:
        self.button.disabled, self.bar.layout.visibility = True, "visible"
        self._say("status", "reading photos…")
        try:
            with progress_told_to(self._told()):
                model = quick_dfr(self.params, self.category)
        except InputError as error:
            self._say("alert", str(error))
            self.button.disabled = False
            return
        self.state.value = ""
        self.then(model)

    def _told(self) -> Listener:
        def tell(description: str, done: float, total: float | None) -> None:
            self.bar.value = done / total if total else 0
            words = f"{description}: {done:.0f} of {total or '?'}" if done != total else "finding the thresholds…"
            self._say("status", words)

        return tell

    def _say(self, role: str, words: str) -> None:
        self.state.value = f'<span role="{role}">{html.escape(words)}</span>'
