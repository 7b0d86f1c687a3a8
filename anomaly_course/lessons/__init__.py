"""What the lessons need beside the library: self-checks of their exercises, and their figures."""
