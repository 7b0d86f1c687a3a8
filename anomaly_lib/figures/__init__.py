"""All plain figures, in one style."""
