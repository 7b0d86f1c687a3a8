"""Frame-level AUROC of the lesson's video model, and of simpler detectors, over random seeds.

    python benchmarks/pdm_video.py --seeds 0 1 2

A seed gives another scene, other clips and another initialisation. Last step; test labels are used for the AUROC
only. The seconds are of the processor, since other programs may run beside it.
"""

import argparse
import time
from dataclasses import replace
from functools import cache, partial

from anomaly_course.pdm.clip import ClipSet, clip_set
from anomaly_course.pdm.score import WEIGHTS, clip_terms, frame_auroc, frame_differences, scored
from anomaly_course.pdm.training import PLAIN, Settings, fit
from anomaly_lib.base.reproducibility import make_deterministic

VARIANTS = {
    "": {},
    ", not averaged over frames": {"averaged": 1},
    ", paper's min-max per video": {"normalisation": "paper_minmax_per_video"},
    **{f", {name} alone": {"weights": {name: 1.0}} for name in WEIGHTS},
}


def rows_of_seed(clips: ClipSet, settings: dict[str, Settings], seed: int):
    """Yield (detector, seconds of training, {kind: AUROC}) of one seed."""
    difference = scored(frame_differences, clips.held_out, clips.test, weights={"difference": 1.0})
    yield "frame difference", 0.0, frame_auroc(clips.test, difference)
    for name, chosen in settings.items():
        start = time.process_time()
        predictor, _ = fit(clips.fit, chosen, seed, progress=False)
        seconds = time.process_time() - start
        detector = cache(partial(clip_terms, predictor))
        for variant, options in VARIANTS.items():
            scores = scored(detector, clips.held_out, clips.test, **options)
            yield name + variant, seconds, frame_auroc(clips.test, scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=Settings.steps)
    options = parser.parse_args()
    make_deterministic(threads=1)
    full = Settings(steps=options.steps)
    settings = {"no memory, no flow": replace(full, **PLAIN), "PDM": full}
    for seed in options.seeds:
        for name, seconds, aurocs in rows_of_seed(clip_set(seed), settings, seed):
            values = " | ".join(f"{value:.3f}" for value in aurocs.values())
            print(f"| {seed} | {name} | {values} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
