"""Protocols of evaluation that train or score anew: choosing a method, cross-fitting, contaminated training sets."""
