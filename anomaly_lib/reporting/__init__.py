"""Results of the runs as tables, and the report."""
