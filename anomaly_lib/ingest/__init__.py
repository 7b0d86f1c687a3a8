"""Real data: from the archive or folder that a user has to ``data/NAME`` in one layout."""
