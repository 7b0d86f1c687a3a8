"""Read the checkpoints that the papers' authors publish. Nothing in a file is executed."""

from anomaly_lib.methods.official.dfr import load_dfr

__all__ = ["load_dfr"]
