"""What several benchmarks share: a cell of their tables, CPU time, and how they end."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from anomaly_lib.base.errors import exit_code


def spread(values: Sequence[float | None], digits: int = 3) -> str:
    """Mean ± standard deviation of the seeds as text; one value alone has no spread."""
    if None in values:
        return "not defined"
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def latency(see: Callable, photos: Sequence) -> float:
    """Median CPU seconds of a single photo, after one to warm up."""
    seconds = []
    for photo in photos:
        began = time.process_time()
        see(photo)
        seconds.append(time.process_time() - began)
    return statistics.median(seconds[1:])


def process_seconds(arguments: Sequence[str], repeats: int, environment: Mapping[str, str] | None = None) -> float:
    """Least CPU seconds of a whole Python process, from its start to its end."""
    seconds = []
    for _ in range(repeats):
        before = os.times()
        subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(seconds)


def run(main: Callable[[], int]) -> None:
    """Exit with what ``main`` returns; bad input is one line and code 2."""
    sys.exit(exit_code(main))
