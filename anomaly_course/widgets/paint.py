"""Paint a defect: draw on a photo of a part, and every trained method says at once what it makes of it."""

import html
from collections.abc import Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from anomaly_course.widgets.brush import Brush, png_of
from anomaly_course.widgets.looks import Answer, look, map_picture, region_of
from anomaly_course.widgets.picture import BusySign, Studio, controls_row, reset_button, verdict_element
from anomaly_course.widgets.strokes import Stroke, paint, stroke_of
from anomaly_course.widgets.trained import Offer, found_models, loaded, normal_score
from anomaly_lib.data import load_category, read_rgb
from anomaly_lib.figures.display import image_element, png
from anomaly_lib.figures.style import DECISION_COLOURS, MAP_COLOURS, MAP_LIMITS
from anomaly_lib.methods.checkpoints import TrainedModel
from anomaly_lib.params import Params, project_root

SIDE = 256
"""Pixels of the photo that is painted on."""
COLOURS = {"black": "#000000", "white": "#ffffff", "grey": "#808080", "rust": "#8b3a0e", "red": "#c1121f"}
LIMITS = "Maps and scores: 0 is the median normal, 1 the threshold (outlined in the map), 2 and more the brightest."


def part_photo(params: Params, category: str) -> np.ndarray:
    """The first normal test photo of a category, (256, 256, 3) uint8: no method was trained on it."""
    found = load_category(project_root() / params.data, category)
    normal = [sample for sample in found.test if not sample.is_anomalous] or found.train
    return np.asarray(Image.fromarray(read_rgb(normal[0].path)).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def paint_and_look(
    params: Params, photo: np.ndarray, strokes: Sequence[Stroke], models: Sequence[TrainedModel]
) -> list[Answer]:
    """What each model says of the photo (H, W, 3) uint8 with the strokes on it."""
    painted = paint(photo, strokes)
    return [look(model, painted, normal_score(params, model), region_of(params, model)) for model in models]


def paint_figure(photo: np.ndarray, strokes: Sequence[Stroke], looks: Sequence[Answer]) -> Figure:
    """The painted photo, and each method's map and decision; the still picture of the demo."""
    columns = len(looks) + 1
    figure, axes = plt.subplots(1, columns, figsize=(2.9 * columns, 3.6), squeeze=False)
    axes[0, 0].imshow(paint(photo, strokes))
    axes[0, 0].set_title(f"painted, {len(strokes)} stroke{'s' * (len(strokes) != 1)}")
    for axis, answer in zip(axes[0, 1:], looks, strict=True):
        picture = axis.imshow(answer.shown, cmap=MAP_COLOURS, vmin=MAP_LIMITS[0], vmax=MAP_LIMITS[1])
        words = f"{answer.title}: {answer.decision}\nscore {answer.share:.2f}, threshold 1"
        axis.set_title(words, color=DECISION_COLOURS[answer.decision])
    for axis in axes.flat:
        axis.set_axis_off()
    if looks:
        figure.colorbar(picture, ax=axes[0, 1:], location="bottom", shrink=0.6, label="0 median normal, 1 threshold")
    return figure


class Panel(ipywidgets.VBox):
    """Map, score and decision of one model, with a busy sign while they are worked out."""

    def __init__(self, model: TrainedModel, params: Params):
        self.model, self.region, self.seconds = model, region_of(params, model), 0.0
        self.zero = normal_score(params, model)
        self.busy, self.picture = BusySign(), ipywidgets.HTML()
        self.words = ipywidgets.HTML()
        super().__init__([self.picture, self.words, self.busy])
        self.add_class("anomaly-panel")

    def show(self, picture: np.ndarray) -> None:
        """Look at a picture (H, W, 3) uint8, and say what the model makes of it."""
        with self.busy.on(f"{self.model.method.title} is looking…"):
            answer = look(self.model, picture, self.zero, self.region)
            self.words.value = _headline(answer)
            self.picture.value = image_element(png_of(map_picture(answer.shown)), answer.in_words())
            self.seconds = answer.seconds


def _headline(answer: Answer) -> str:
    colour, part = DECISION_COLOURS[answer.decision], 50 * min(max(answer.share, 0), 2)
    return (
        f"{html.escape(answer.title)}{verdict_element(answer.decision, colour)}"
        f'<div class="anomaly-bar"><div style="width:{part:.1f}%; background:{colour}"></div></div>'
        f"score {answer.share:.2f}, threshold 1"
    )


class PaintStudio(Studio):
    """The brush, its controls, and a panel a model."""

    def __init__(self, params: Params, categories: Sequence[str]):
        self.params, self.brush = params, Brush()
        self.controls = {
            "part": ipywidgets.Dropdown(options=list(categories), description="part"),
            "colour": ipywidgets.Dropdown(options=list(COLOURS), description="colour"),
            "width": ipywidgets.IntSlider(8, min=1, max=60, description="width, px"),
        }
        self.first = {name: control.value for name, control in self.controls.items()}
        self.busy, self.answers = BusySign(), ipywidgets.Box()
        self.answers.add_class("anomaly-answers")
        buttons = {"undo": self.undo, "clear": self.clear}
        self.buttons = {name: ipywidgets.Button(description=name) for name in buttons} | {"reset": reset_button()}
        for name, action in (buttons | {"reset": self.reset}).items():
            self.buttons[name].on_click(lambda button, action=action: action())
        self.controls["part"].observe(lambda change: self.take_part(), "value")
        for name in ("colour", "width"):
            self.controls[name].observe(lambda change: self.take_brush(), "value")
        self.brush.observe(lambda change: self.look(), "strokes")
        self.take_brush()
        self.take_part()
        models = [panel.model for panel in self.answers.children if isinstance(panel, Panel)]
        figure = paint_figure(self.photo, [], paint_and_look(params, self.photo, [], models))
        row = controls_row([*self.controls.values(), *self.buttons.values(), self.busy])
        below = ipywidgets.Box([self.brush, self.answers])
        below.add_class("anomaly-row")
        alt = f"A photo of a {self.controls['part'].value} and the anomaly map of each trained method"
        super().__init__([row, below, ipywidgets.HTML(f"<small>{LIMITS}</small>")], png(figure), alt)

    @property
    def panels(self) -> list[Panel]:
        """One a model, fastest first once they have looked; none while there is no model."""
        shown = [child for child in self.answers.children if isinstance(child, Panel)]
        return sorted(shown, key=lambda panel: panel.seconds)

    @property
    def strokes(self) -> list[Stroke]:
        """What was drawn so far."""
        return [stroke_of(record) for record in self.brush.strokes]

    def take_part(self) -> None:
        """Another photo, and the models of its category; without one, the offer to fit one."""
        category = self.controls["part"].value
        with self.busy.on("loading…"):
            self.photo = part_photo(self.params, category)
            self.answers.children = ()
            self.brush.show_photo(self.photo, f"a photo of a {category}")
            models = [loaded(folder) for folder in found_models(self.params, category).values()]
            self.take_models(models)
            if not models:
                self.answers.children = (Offer(self.params, category, lambda model: self.take_models([model])),)

    def take_models(self, models: Sequence[TrainedModel]) -> None:
        """A panel for each model, in this order."""
        self.answers.children = tuple(Panel(model, self.params) for model in models)
        self.look()

    def take_brush(self) -> None:
        """Colour and width of the next stroke."""
        self.brush.colour = COLOURS[self.controls["colour"].value]
        self.brush.width = self.controls["width"].value / SIDE

    def look(self) -> None:
        """All models look at the photo as it is painted now, the fastest first."""
        painted = paint(self.photo, self.strokes)
        for panel in self.panels:
            panel.show(painted)

    def undo(self) -> None:
        """Take the last stroke away."""
        self.brush.strokes = self.brush.strokes[:-1]

    def clear(self) -> None:
        """Take all strokes away."""
        self.brush.strokes = []

    def reset(self) -> None:
        """The first part, colour and width, and no strokes."""
        for name, control in self.controls.items():
            control.value = self.first[name]
        self.clear()


def paint_studio(params: Params, categories: Sequence[str] | None = None) -> PaintStudio:
    """Draw on a part of one of the categories (default: the profile's); part, colour and width as controls.

    Raises InputError when a category cannot be read.
    """
    return PaintStudio(params, categories or params.categories)
