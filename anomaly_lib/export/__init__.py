"""Trained models for other programs: a bundle of ONNX model, record and reference, which needs no torch to run.

``write`` makes it (with torch), ``bundle`` runs it and ``verify`` checks it (without).
"""
