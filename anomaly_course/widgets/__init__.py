"""Widget demos: a pure function behind each control, thin glue, and a static figure for readers without a kernel."""
