"""Stages of the pipeline on Dask workers: other processes, other GPUs, other machines. See docs/cluster.md."""
