"""DRAEM: Discriminatively trained Reconstruction Anomaly Embedding Model (Zavrtanik, Kristan, Skocaj; ICCV 2021).

One network learns to paint a synthetic anomaly out of an image; a second one sees the image beside its repaired
version and learns to say, pixel by pixel, where the two differ in a way that matters.
"""
