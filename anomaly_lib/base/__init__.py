"""What every other room stands on: errors, atomic file writes, progress bars, free disk space."""
