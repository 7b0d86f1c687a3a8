"""How processors compute: ``portable``, the same bits on every x86-64 processor with AVX2, or ``native``, each its own.

torch, MKL, oneDNN, NumPy and OpenBLAS choose their code by processor: with AVX-512 or without, from Intel or from AMD.
Sums come out in another order then, and a training makes large differences of last bits. These libraries read
environment variables when they load, so the variables are set when ``anomaly_lib`` is imported: import it before torch
and NumPy. Processes that this one starts inherit them. docs/portability.md has the measurements.
"""

import os
import platform
import sys
from pathlib import Path

from anomaly_lib.base.errors import InputError

MODES = ("portable", "native")
MODE = "ANOMALY_NUMERICS"
"""Environment variable that holds the mode of this process and of those it starts; default: portable."""

# Forced, not defaulted: a variable in the caller's shell must not change the bytes.
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own loops
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "MKL_CBWR": "COMPATIBLE",  # matrix products, LAPACK, exp, log, tanh: its AVX2 code differs between Intel and AMD
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products and LAPACK of NumPy and SciPy
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # NumPy's exp, log, power
}


def mode() -> str:
    """``portable`` or ``native``. Raises InputError for another value of ANOMALY_NUMERICS."""
    chosen = os.environ.get(MODE, MODES[0])
    if chosen not in MODES:
        raise InputError(f"{MODE}: '{chosen}' is neither {' nor '.join(MODES)}")
    return chosen


def choose(chosen: str | None = None) -> None:
    """Set the variables for ``chosen``, default ``mode()``. What torch and NumPy read when they loaded stays."""
    os.environ[MODE] = chosen or mode()
    if mode() == "portable" and has_avx2():
        os.environ.update(PORTABLE)
    else:
        for name in PORTABLE:
            if os.environ.get(name) == PORTABLE[name]:
                del os.environ[name]


def has_avx2() -> bool:
    """Whether this is an x86-64 processor with AVX2; where /proc/cpuinfo is missing, x86-64 is enough."""
    flags = _cpuinfo("flags")
    return platform.machine() in ("x86_64", "AMD64") and ("avx2" in flags or not flags)


def processor() -> str:
    """The processor's name, and whether it has AVX-512, for messages and records; no result depends on it."""
    wide = " with AVX-512" if "avx512f" in _cpuinfo("flags") else ""
    return (_cpuinfo("model name") or platform.processor() or platform.machine()) + wide


def late() -> str | None:
    """What torch or NumPy, loaded already, computes otherwise than chosen; None when all is as chosen."""
    if mode() == "native" or not has_avx2():
        return None
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    wrong = ["torch"] if torch and torch.backends.cpu.get_cpu_capability() != "AVX2" else []
    wrong += ["NumPy"] if numpy and numpy._core._multiarray_umath.__cpu_features__.get("X86_V4") else []
    if not wrong:
        return None
    return (
        f"{' and '.join(wrong)} loaded before anomaly_lib: results can differ from the committed ones in their last "
        "bits, and trainings make more of that; import anomaly_lib first, or start with 'make lab'"
    )


def _cpuinfo(key: str) -> str:
    """A value of the first processor in /proc/cpuinfo, or an empty string."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
    except OSError:
        return ""
