"""Protocols of evaluation that train or score anew: choosing a method, cross-fitting, contaminated training sets."""

from anomaly_lib.base.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    contamination="COLUMNS contaminated_sets contamination_rows",
    cross_fit="cross_fitted",
    selection="selection_metrics",
)
