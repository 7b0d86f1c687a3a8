"""Does this machine compute the committed bits? Digests of operations and of short trainings of all methods.

    python -m anomaly_tools.digest [FILE]     # prints them, names those that differ, and writes a record

``digests.json`` beside this module holds what the committed results were computed with. A digest covers the bits of an
operation's result, of its gradients too where a training uses them; the operations are drawn in a fixed order.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anomaly_lib.base import numerics
from anomaly_lib.base.reproducibility import make_deterministic, provenance
from anomaly_lib.registry import method_class, params_class

EXPECTED = Path(__file__).with_name("digests.json")
Results = Callable[[], list[Tensor]]

# A few steps each, with every part in use: DMAD deforms, DFR whitens and searches its latent size.
SHORT = {
    "draem": {"image_size": 64, "reconstructive_width": 8, "discriminative_width": 8, "steps": 4, "batch": 4},
    "dfr": {"image_size": 64, "feature_size": 16, "layers": ["stage0", "stage2"], "steps": 12, "batch": 256},
    "dmad": {"image_size": 64, "steps": 5, "batch": 4, "codes": 10},
}


def digests() -> Iterator[tuple[str, str, float]]:
    """Name, digest and seconds of each operation and each method's training, one after the other."""
    make_deterministic(threads=1)
    for name, results in (
        *_operations(),
        *((f"{name}, {SHORT[name]['steps']} steps", _training(name)) for name in SHORT),
    ):
        start = time.perf_counter()
        yield name, _digest(results()), time.perf_counter() - start


def expected() -> dict[str, str]:
    """The digests that belong to the committed results."""
    return json.loads(EXPECTED.read_text(encoding="utf-8"))


def differing() -> list[str]:
    """Names of what this process computes otherwise; takes some seconds."""
    known = expected()
    return [name for name, digest, _ in digests() if digest != known.get(name)]


def _digest(results: list[Tensor]) -> str:
    content = hashlib.sha256()
    for tensor in results:
        content.update(np.ascontiguousarray(tensor.detach().numpy()).tobytes())
    return content.hexdigest()[:16]


def _with_gradients(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    result = function(*inputs)
    result.square().sum().backward()
    return [result, *(tensor.grad for tensor in inputs)]


def _operations() -> list[tuple[str, Results]]:
    draws = np.random.default_rng(0)

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(draws.normal(0, 1, shape).astype(np.float32))

    x, square, point = normal(8, 16, 64, 64), normal(32, 16, 3, 3) / 12, normal(32, 16, 1, 1) / 4
    first, positive = normal(16, 3, 3, 3) / 5, x.abs() + 0.01
    left, right, weight = normal(512, 300), normal(300, 700), normal(200, 300)
    per_channel, up = normal(16, 1, 3, 3), normal(16, 8, 2, 2)
    places = (normal(8, 64, 64, 2) / 3).clamp(-1, 1)
    vectors = draws.normal(0, 1, (300, 64))
    many, moments = positive.double().numpy().ravel(), vectors.T @ vectors
    products = vectors @ vectors.T
    rows, wide = normal(16, 1, 32, 100).permute(0, 3, 1, 2), normal(70, 100, 1, 1) / 10

    def padded(a: Tensor, b: Tensor) -> Tensor:
        return F.conv2d(a, b, padding=1)

    def last(tensor: Tensor) -> Tensor:
        return tensor.to(memory_format=torch.channels_last)

    def back(function: Callable[..., Tensor], *inputs: Tensor) -> Results:
        return lambda: _with_gradients(function, *inputs)

    return [
        ("exp, log, tanh, sigmoid", lambda: [x.exp(), positive.log(), x.tanh(), x.sigmoid()]),
        ("sum, mean, variance", lambda: [x.sum(), x.mean((0, 2, 3)), x.var((0, 2, 3)), x.double().std(0)]),
        ("softmax", back(lambda a: a.softmax(1), x)),
        ("cosine similarity", back(lambda a: F.cosine_similarity(a, x.flip(0), dim=1), x)),
        ("norm", back(lambda a: torch.linalg.vector_norm(a, dim=1), x)),
        ("matrix product", lambda: [left @ right, left.double() @ right.double()]),
        ("linear layer", back(F.linear, left, weight)),
        ("convolution 3x3", back(padded, x, square)),
        ("convolution 3x3, channels last", back(padded, last(x), last(square))),
        ("convolution 3x3 of an image", back(padded, last(x[:, :3]), last(first))),
        ("convolution 1x1", back(F.conv2d, x, point)),
        ("convolution 1x1 of 16 images", back(F.conv2d, rows.contiguous(), wide)),
        ("convolution 1x1 of 16 images, channels last", back(F.conv2d, rows, wide)),
        ("convolution, depthwise", back(lambda a, b: F.conv2d(a, b, padding=1, groups=16), x, per_channel)),
        ("convolution, transposed", back(lambda a, b: F.conv_transpose2d(a, b, stride=2), x, up)),
        ("batch norm", back(lambda a: F.batch_norm(a, None, None, training=True), x)),
        ("pooling", back(lambda a: F.avg_pool2d(a, 2) + F.max_pool2d(a, 2), x)),
        ("bilinear resizing", back(lambda a: F.interpolate(a, scale_factor=2.0, mode="bilinear"), x)),
        ("grid sampling", back(lambda a, b: F.grid_sample(a, b, align_corners=True), x, places)),
        ("eigenvectors", lambda: list(torch.linalg.eigh(torch.from_numpy(moments)))),
        ("NumPy: exp, log, power", lambda: _tensors(np.exp(-many), np.log(many), many**1.7)),
        ("NumPy: products, eigenvectors", lambda: _tensors(products, *np.linalg.eigh(moments))),
    ]


def _tensors(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def _training(name: str) -> Results:
    def results() -> list[Tensor]:
        images = torch.rand(12, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        images = F.avg_pool2d(images, 5, stride=1, padding=2)  # smooth enough to be like a photo
        settings = SHORT[name] | ({"synthesis": {"texture_source": "normals"}} if name == "draem" else {})
        method = method_class(name)(params_class(name).model_validate(settings), 0)
        method.fit(images[:8], progress=False)
        return [*(tensor for _, tensor in sorted(method.state_dict().items())), method.score(images[8:]).maps]

    return results


def main(arguments: list[str]) -> int:
    """Print every digest; with a file, write them there with the processor and versions. 1: some differ."""
    known, found = expected() if EXPECTED.exists() else {}, {}
    for name, digest, seconds in digests():
        found[name] = digest
        print(f"{'same  ' if digest == known.get(name) else 'DIFFER'}  {digest}  {seconds:6.2f} s  {name}", flush=True)
    if arguments:
        settings = {name: os.environ[name] for name in numerics.PORTABLE if name in os.environ}
        record = {
            "processor": numerics.processor(),
            "made_with": provenance(),
            "environment": settings,
            "digests": found,
        }
        Path(arguments[0]).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return int(found != known)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
