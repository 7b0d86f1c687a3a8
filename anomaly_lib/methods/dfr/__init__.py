"""DFR: Deep Feature Reconstruction (Yang, Shi, Qi; Neurocomputing 2021; arXiv 2012.07122).

A frozen ImageNet network describes each region of an image at several scales; an autoencoder of 1x1
convolutions learns to reconstruct the descriptions of normal regions; where it fails, the region is anomalous.
"""
