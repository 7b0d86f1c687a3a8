"""All plain figures, in one style."""

from anomaly_lib.base.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    demo="DemoImage frame in_order save_gif save_strip",
    display="save_and_show show show_file",
    images="area_histogram contact_sheet map_rows mean_and_spread",
    results="KINDS confusion_figure contamination_figure curves_figure held_out_scores overview_figure score_histogram",
    style="on_fixed_scale use_style",
    training="loss_curve training_pictures",
)
