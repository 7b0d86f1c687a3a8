"""Every ratio to anomalib in one run: pixel metrics, AUPRO, Perlin noise, whole synthetic samples.

    pip install -e ".[bench]"
    OMP_NUM_THREADS=1 python benchmarks/peers.py

It runs `metrics.py` and then `synthesis.py`, which can be run alone with options; in each the contenders take turns in
one process, on one thread.
"""

import metrics
import synthesis

if __name__ == "__main__":
    metrics.main([])
    synthesis.main(["--rounds", "15"])
