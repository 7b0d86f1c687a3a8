"""Where the time of a training goes: torch's operations by their share of the CPU time, for each method.

    OMP_NUM_THREADS=1 python benchmarks/steps.py [--category nut]

A whole training of DFR, and the first steps of DRAEM and DMAD, with the root profile's settings, under torch's
profiler, which itself costs time: read the shares. "Python and the rest" is what happens outside torch's operations.
"""

import argparse
import time

import anomaly_lib  # noqa: F401  chooses numerics before torch loads
from numerics import untrained

from torch.profiler import ProfilerActivity, profile

STEPS = {"draem": 20, "dfr": 1000, "dmad": 100}
SHOWN = 9
MERGED = {"mkldnn_convolution": "convolution", "native_batch_norm": "batch_norm", "copy_": "copy"}


def shares(name: str, steps: int, category: str) -> tuple[float, list[tuple[str, float]]]:
    """Wall seconds of a training in this process, and (operation, share of them), the largest first."""
    method, images, _ = untrained(name, category, steps=steps)
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU], acc_events=False) as recorded:
        method.fit(images, progress=False)
        seconds = time.perf_counter() - start
    spent: dict[str, float] = {}
    for event in recorded.key_averages():
        operation = event.key.removeprefix("aten::")
        operation = MERGED.get(operation, operation)
        spent[operation] = spent.get(operation, 0.0) + event.self_cpu_time_total / 1e6
    spent["Python and the rest"] = max(0.0, seconds - sum(spent.values()))
    return seconds, sorted(((key, value / seconds) for key, value in spent.items()), key=lambda pair: -pair[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--category", default="nut")
    options = parser.parse_args()
    print("| method | steps | s | largest shares |\n|---|---|---|---|")
    for name, steps in STEPS.items():
        seconds, found = shares(name, steps, options.category)
        text = ", ".join(f"{operation} {share:.0%}" for operation, share in found[:SHOWN])
        print(f"| {name} | {steps} | {seconds:.0f} | {text} |", flush=True)


if __name__ == "__main__":
    main()
