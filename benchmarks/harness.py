"""What several benchmarks share: a cell of their tables, and how they end."""

import statistics
import sys
from collections.abc import Callable, Sequence

from anomaly_lib.base.errors import exit_code


def spread(values: Sequence[float | None], digits: int = 3) -> str:
    """Mean ± standard deviation of the seeds as text; one value alone has no spread."""
    if None in values:
        return "not defined"
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def run(main: Callable[[], int]) -> None:
    """Exit with what ``main`` returns; bad input is one line and code 2."""
    sys.exit(exit_code(main))
