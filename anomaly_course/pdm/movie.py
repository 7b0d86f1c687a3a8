"""The animated figure of one clip, and its strip for paper and for people who prefer no motion."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from anomaly_course.pdm.clip import Clip
from anomaly_course.pdm.figure import PANELS, draw_scores, panels
from anomaly_course.pdm.network import HISTORY
from anomaly_course.pdm.score import ClipMaps
from anomaly_lib.figures.demo import save_gif, save_strip
from anomaly_lib.figures.style import ANOMALOUS_COLOUR, NORMAL_COLOUR

PANEL, GAP, TITLE_HEIGHT, PLOT_HEIGHT = 112, 4, 20, 120
EVERY, SECONDS_PER_FRAME = 2, 0.25
LEVELS = 14
"""Of each colour channel: the camera's noise rounds away, so that the movie is small and the palette holds the rest."""
STRIP_FRAMES = 4


def save_movie(
    clip: Clip, maps: ClipMaps, scores: np.ndarray, folder: Path, threshold: float | None = None
) -> tuple[Path, Path]:
    """Write ``movie.gif``, below 1 MB, and ``movie.png``, four of its frames below each other; return their paths."""
    frames = movie_frames(clip, maps, scores, threshold)
    gif = save_gif(frames[::EVERY], folder / "movie.gif", SECONDS_PER_FRAME)
    return gif, save_strip([frames[index] for index in _moments(clip)], folder / "movie.png")


def movie_frames(clip: Clip, maps: ClipMaps, scores: np.ndarray, threshold: float | None = None) -> list[Image.Image]:
    """A picture for each predicted frame: the panels, and below them the score with a line at the moment."""
    width = len(PANELS) * (PANEL + GAP) + GAP
    plot, places = _score_plot(clip, scores, threshold, width)
    pictures = panels(maps)
    return [_movie_frame(clip, pictures, index, plot, int(place)) for index, place in enumerate(places)]


def _movie_frame(clip: Clip, pictures: dict[str, np.ndarray], index: int, plot: Image.Image, place: int) -> Image.Image:
    canvas = Image.new("RGB", (plot.width, TITLE_HEIGHT + PANEL + plot.height), "white")
    canvas.paste(plot, (0, TITLE_HEIGHT + PANEL))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for column, name in enumerate(PANELS):
        left = GAP + column * (PANEL + GAP)
        picture = _picture(pictures[name][index])
        canvas.paste(picture.resize((PANEL, PANEL), Image.Resampling.NEAREST), (left, TITLE_HEIGHT))
        draw.text((left + 2, 2), name, fill="black", font=font)
    draw.line((place, TITLE_HEIGHT + PANEL + 8, place, canvas.height - 22), fill="black", width=2)
    anomalous = clip.labels[index + HISTORY].item()
    words = f"frame {index + HISTORY}: {f'anomalous ({clip.kind})' if anomalous else 'normal'}"
    colour = ANOMALOUS_COLOUR if anomalous else NORMAL_COLOUR
    draw.text((GAP + 60, canvas.height - 17), words, fill=colour, font=font)
    return canvas


def _score_plot(clip: Clip, scores: np.ndarray, threshold: float | None, width: int) -> tuple[Image.Image, np.ndarray]:
    """The score over time, drawn once, and the column of each predicted frame in it."""
    figure = Figure(figsize=(width / 100, PLOT_HEIGHT / 100), dpi=100, layout="none")
    canvas = FigureCanvasAgg(figure)
    axis = figure.add_axes((0.08, 0.3, 0.9, 0.62))
    draw_scores(axis, clip, scores, threshold)
    axis.set_ylabel("score", fontsize=8)
    axis.tick_params(labelsize=7)
    canvas.draw()
    time = np.arange(HISTORY, len(clip.frames))
    columns = axis.transData.transform(np.stack([time, np.zeros(len(time))], axis=1))[:, 0]
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]), columns.round()


def _moments(clip: Clip) -> list[int]:
    """Indices of the strip's frames: one before the anomaly, three in it; evenly spread where there is none."""
    marked = clip.labels[HISTORY:].nonzero().flatten().tolist()
    if not marked:
        return np.linspace(0, len(clip.frames) - HISTORY - 1, STRIP_FRAMES).round().astype(int).tolist()
    inside = np.linspace(marked[0], marked[-1], STRIP_FRAMES + 1)[1:-1]
    return [max(0, marked[0] - 4), *inside.round().astype(int).tolist()]


def _picture(colours: np.ndarray) -> Image.Image:
    """(S, S, 3) in [0, 1], rounded to ``LEVELS``."""
    return Image.fromarray(((colours * LEVELS).round() * (255 / LEVELS)).astype(np.uint8))
