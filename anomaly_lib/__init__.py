"""A reproducible research suite for surface anomaly detection: DRAEM, DFR and DMAD."""

from anomaly_lib.base import numerics

__version__ = "0.2.0"

numerics.choose()  # before torch and NumPy load: they read how to compute from the environment
