"""Figures, GIFs and tables: everything that people look at."""
