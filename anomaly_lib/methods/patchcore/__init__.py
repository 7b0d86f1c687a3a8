"""PatchCore (Roth, Pemula, Zepeda, Schoelkopf, Brox, Gehler; CVPR 2022, arXiv 2106.08265). A baseline."""
