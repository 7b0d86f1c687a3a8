"""The course around the library: lessons' checks and figures, widgets, the video demo."""

import anomaly_lib  # noqa: F401  before torch and NumPy: it chooses how the processor computes
