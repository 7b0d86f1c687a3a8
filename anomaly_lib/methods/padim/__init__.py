"""PaDiM (Defard, Setkov, Loesch, Audigier; ICPR workshops 2021, arXiv 2011.08785). A baseline."""
