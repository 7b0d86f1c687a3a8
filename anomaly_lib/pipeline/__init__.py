"""What the pipeline needs around its notebooks: their output-free copies, and where trained models lie."""

from anomaly_lib.base.lazy import lazy_names

__getattr__, __all__ = lazy_names(__name__, runs="trained_folder work_folder", times="stopwatch")
