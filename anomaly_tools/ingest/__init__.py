"""Ingest: public data sets, or folders of photos, as they were downloaded, become a folder that the pipeline reads.

``ingest`` does it. ``layouts`` lists the adapters, each of which turns folders into a ``Plan``; ``write`` carries a
plan out. Everything here works without torch.
"""

from anomaly_tools.ingest.plan import Item, Plan, Request
from anomaly_tools.ingest.run import ingest

__all__ = ["Item", "Plan", "Request", "ingest"]
