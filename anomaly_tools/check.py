"""Is this environment complete? One line per check, each failure with its remedy."""

import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from anomaly_lib.base import numerics
from anomaly_lib.base.errors import InputError
from anomaly_lib.params import load_params, project_root
from anomaly_tools.disk import free_bytes

FREE_GIGABYTES = 2


class Note(str):
    """What a check found worth saying although nothing is wrong."""


def run() -> int:
    """The command ``python -m anomaly_lib check``; its exit code."""
    return 0 if run_checks() else 1


def run_checks() -> bool:
    """Print an [OK], [NOTE] or [FAIL] line for each check; True unless one failed."""
    fine = True
    for name, check in CHECKS:
        try:
            detail = check()
            print(f"{'[NOTE]' if isinstance(detail, Note) else '[OK]  '} {name}: {detail}", flush=True)
        except (InputError, OSError) as error:
            fine = False
            print(f"[FAIL] {name}: {error}")
    return fine


def _python() -> str:
    if sys.version_info[:2] != (3, 11):
        raise InputError(f"{platform.python_version()} found; make the environment with Python 3.11 ('make env')")
    return f"{platform.python_version()} in {sys.prefix}"


def _packages() -> str:
    missing = list(_unmet_requirements())
    if missing:
        raise InputError(f"{', '.join(missing)}; run 'make env', or 'pip install -r requirements.lock'")
    return "all required ones are installed"


def _unmet_requirements() -> Iterator[str]:
    for line in requires("anomaly-lib") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": "suite"}):
            continue
        try:
            if version(requirement.name) not in requirement.specifier:
                yield f"{requirement.name} {version(requirement.name)} is installed, {requirement.specifier} is needed"
        except PackageNotFoundError:
            yield f"{requirement.name} is missing"


def _torch() -> str:
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError) as error:
        raise InputError(f"{error}; torch and torchvision must be the pair in requirements.lock") from None
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU only"
    return f"torch {torch.__version__}, torchvision {torchvision.__version__}, {device}"


def _backbone() -> str:
    from anomaly_lib.methods.backbones import Backbone

    Backbone("tf_efficientnet_lite0", ["stage4"])
    return "weights of tf_efficientnet_lite0 are installed: features work offline"


def _kernel() -> str:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        return f"kernel python3 at {KernelSpecManager().get_kernel_spec('python3').resource_dir}"
    except NoSuchKernel:
        raise InputError("no Jupyter kernel 'python3'; run 'python -m ipykernel install --sys-prefix'") from None


def _data() -> str:
    root, params = project_root(), load_params()
    absent = [name for name in params.categories if not (root / params.data / name / "train/good").is_dir()]
    if absent:
        raise InputError(f"{params.data} lacks {', '.join(absent)}; run 'dvc pull data'")
    if not (root / params.textures).is_dir():
        raise InputError(f"{params.textures} is missing; run 'dvc pull data'")
    return f"{params.data} with {', '.join(params.categories)}"


def _profiles() -> str:
    root = project_root()
    files = [
        Path("params.yaml"),
        *sorted(path.relative_to(root) for path in root.glob("profiles/*/params.yaml")),
    ]
    return ", ".join(load_params(file).profile for file in files)


def _dvc() -> str:
    from anomaly_tools.dvc_cache import LOCKS, cache_folder, damaged_objects, is_torn

    root = project_root()
    if is_torn(root / LOCKS):
        raise InputError(f"{LOCKS} is torn by a kill; remove it")
    if damaged := damaged_objects(cache_folder(root)):
        raise InputError(
            f"{damaged[0]} is damaged ({len(damaged)} in all); 'make repro' removes them, and makes them again"
        )
    return "every object in the cache is whole"


def _disk() -> str:
    free = free_bytes(project_root()) / 1e9
    if free < FREE_GIGABYTES:
        raise InputError(f"{free:.1f} GB free; the pipeline needs {FREE_GIGABYTES} GB, see 'dvc gc --workspace'")
    return f"{free:.0f} GB free"


def _processor() -> str:
    from anomaly_tools.digest import differing, expected

    if numerics.mode() == "native":
        return Note(f"{numerics.processor()}, native numerics: results are this processor's own")
    if problem := numerics.late():
        return Note(problem)
    if differ := differing():
        return Note(
            f"{numerics.processor()} computes {len(differ)} of {len(expected())} digests otherwise than the committed "
            f"results: {', '.join(differ)}; results will differ in detail, see docs/portability.md"
        )
    return f"{numerics.processor()} gives the committed bits ({len(expected())} digests)"


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("Python", _python),
    ("packages", _packages),
    ("torch", _torch),
    ("backbone", _backbone),
    ("Jupyter", _kernel),
    ("profiles", _profiles),
    ("data", _data),
    ("DVC", _dvc),
    ("disk", _disk),
    ("processor", _processor),
)
