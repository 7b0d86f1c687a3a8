"""How long things take, apart from the pipeline's outputs: no run repeats a time."""

from anomaly_lib.timing.stopwatch import latency, machine, stopwatch

__all__ = ["latency", "machine", "stopwatch"]
