"""Tools around the library: sample renderer, fan-out, site, checks. Nothing but tests and commands imports them."""

import anomaly_lib

PACKAGES = ("anomaly_lib", "anomaly_course", "anomaly_tools")
"""The three packages, from the ground up: each imports only from those before it."""
