"""A profile's times as a table: training as it was, the latency of one photo measured now, parameters.

    python -m anomaly_lib times --profile thorough

Not a stage of the pipeline: its numbers differ with every run, and the pipeline's do not.
"""

import json
import statistics
from pathlib import Path

from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.base.progress import progress_bar
from anomaly_lib.base.reproducibility import make_deterministic
from anomaly_lib.data import load_category
from anomaly_lib.methods.checkpoints import load_model
from anomaly_lib.params import Params, project_root
from anomaly_lib.pipeline.runs import find_model, runs_of, work_folder
from anomaly_lib.pipeline.times import latency, machine
from anomaly_lib.registry import shown_name
from anomaly_lib.reporting.tables import markdown_table

NOT_MEASURED = "not measured here"


def run(params: Params, repeats: int) -> int:
    """The command ``python -m anomaly_lib times``; its exit code."""
    print(write_times(params, repeats).read_text(encoding="utf-8"))
    return 0


def write_times(params: Params, repeats: int = 50, progress: bool = True) -> Path:
    """Measure, and write ``times.md`` and ``times.json`` into the profile's reports; return the first.

    Latency is the wall-clock time of ``score`` on one photo that is decoded already, ``repeats`` times. Training times
    are those that the trainings on this machine left; a training that DVC took from its cache left none. Raises
    InputError when no method has a trained model.
    """
    make_deterministic(params.threads)
    root, here = project_root(), machine()
    rows = [
        _row(params, name, repeats) for name in progress_bar(list(params.methods), description="times", show=progress)
    ]
    rows = [row for row in rows if row]
    if not rows:
        raise InputError(f"{params.reports}: no trained model to time; run 'dvc repro' with this profile first")
    record = {"machine": here, "threads": params.threads, "repeats": repeats, "methods": rows}
    reports = root / params.reports
    with replacing(reports / "times.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    with replacing(reports / "times.md") as temporary:
        temporary.write_text(_markdown(record, params), encoding="utf-8")
    return reports / "times.md"


def _row(params: Params, name: str, repeats: int) -> dict | None:
    """What is known of one method; None without a trained model."""
    category = params.categories[0]
    try:
        model = load_model(find_model(params, name, category))
    except InputError:
        return None
    detector = model.method
    samples = load_category(project_root() / params.data, category).test
    image = detector.images(samples[:1])
    median, p95 = latency(detector, image, repeats)
    return {
        "method": name,
        "parameters": sum(row["parameters"] for row in detector.architecture()),
        "image_size": detector.params.image_size,
        "latency_median_ms": median,
        "latency_p95_ms": p95,
        "training_seconds": _training_seconds(params, name),
    }


def _training_seconds(params: Params, name: str) -> list[float]:
    """Seconds of each uninterrupted training of the profile that ran on this machine."""
    runs = [run for run in runs_of(params) if run.method == name]
    files = [work_folder(run.folder(Path(params.reports), "train")) / "times.json" for run in runs]
    records = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    return [record["seconds"] for record in records if not record["resumed"]]


def _markdown(record: dict, params: Params) -> str:
    here = record["machine"]
    lines = [
        {
            "method": shown_name(row["method"]),
            "trained parameters": f"{row['parameters']:,}",
            "image size": row["image_size"],
            "latency, median": f"{row['latency_median_ms']:.0f} ms",
            "latency, 95th percentile": f"{row['latency_p95_ms']:.0f} ms",
            "training, median": _training(row["training_seconds"]),
        }
        for row in record["methods"]
    ]
    return (
        f"# Times of the profile `{params.profile}`\n\n"
        f"Written by `python -m anomaly_lib times`; no two runs give the same. Measured on {here['name']} "
        f"({here['device']}, {here['cores']} cores, {record['threads']} thread a process). Latency: `score` on one "
        f"decoded photo, {record['repeats']} times. Training: wall clock of `fit`, other stages running beside it.\n\n"
        f"{markdown_table(lines)}\n"
    )


def _training(seconds: list[float]) -> str:
    if not seconds:
        return NOT_MEASURED
    return f"{statistics.median(seconds):.0f} s ({min(seconds):.0f} to {max(seconds):.0f}, {len(seconds)} trainings)"
