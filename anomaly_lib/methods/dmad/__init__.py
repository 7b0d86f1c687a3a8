"""DMAD: Diversity-Measurable Anomaly Detection (Liu, Chang, Ma, Shan, Chen; CVPR 2023), its PPDM variant for images.

A small network deforms an image towards a prototype and back; a decoder, seeing only a compressed (and, as an
option, quantised) embedding, reproduces a frozen teacher's features of the prototype. Where it fails, the region is
anomalous; how far the image had to be deformed measures how unusual it is.
"""
