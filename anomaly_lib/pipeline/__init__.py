"""What the pipeline needs around its notebooks: their output-free copies, and where trained models lie."""
