"""Results of the runs as tables, and the report."""

from anomaly_lib.base.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    report="copy_demos results_markdown",
    results="COLUMNS SIZE_COLUMNS TYPE_COLUMNS UNCERTAIN_COLUMNS all_curves averages collect interval_rows "
    "metric_rows part_rows results_latex rounded table",
    tables="markdown_table write_csv",
)
