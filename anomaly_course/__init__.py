"""The course around the library: lessons' checks and figures, widgets, the video demo."""

import anomaly_lib
