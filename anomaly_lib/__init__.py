"""A reproducible research suite for surface anomaly detection: DRAEM, DFR and DMAD."""

__version__ = "0.1.0"
