"""One optimisation step of DRAEM at the paper's widths: our settings against a plain float32, channels-first step.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--size 128] [--batch 2] [--repeats 3]

Both sides run the same networks, the three losses, the backward pass and Adam on the same random images; making
anomalies is not part of it. The sides take turns, the best of the repeats counts, after one step that is not timed. On
a CPU the seconds are CPU seconds of one thread, and a small batch of small images keeps the run short: read the ratio.
Where there is a GPU, images a second at 256 pixels and batch 8 follow, with and without bfloat16 and torch.compile.
"""

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

from anomaly_lib.methods.draem.losses import focal_loss, ssim_loss
from anomaly_lib.methods.draem.method import computes_bf16
from anomaly_lib.methods.draem.network import DraemNetworks, initialise
from anomaly_lib.methods.draem.params import DraemParams

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Variant:
    """How a step is computed."""

    name: str
    precision: str = "float32"
    channels_last: bool = False
    compiled: bool = False


def make_step(variant: Variant, widths: tuple[int, int], batch: int, size: int, device: str) -> Callable[[], None]:
    """A function that does one optimisation step and returns when the device is done."""
    torch.manual_seed(0)
    networks = DraemNetworks(*widths)
    initialise(networks)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    networks = networks.to(device, memory_format=layout).train()
    forward = torch.compile(networks) if variant.compiled else networks
    images = torch.rand(batch, 3, size, size).to(device, memory_format=layout)
    masks = (torch.rand(batch, 1, size, size) > 0.95).float().to(device)
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=variant.precision == "bf16"):
            reconstruction, logits = forward(images)
        reconstruction = reconstruction.float()
        loss = F.mse_loss(reconstruction, images) + ssim_loss(reconstruction, images) + focal_loss(logits, masks)
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def best_seconds(steps: dict[str, Callable[[], None]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """{name: seconds of its fastest step}; the variants take turns."""
    best = dict.fromkeys(steps, float("inf"))
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            start = clock()
            step()
            if repeat:
                best[name] = min(best[name], clock() - start)
    return best


def compare(variants: list[Variant], options: argparse.Namespace, batch: int, size: int, device: str) -> None:
    """Print a line a variant: seconds, images a second, and how many times as fast as the first."""
    widths = (options.reconstructive_width, options.discriminative_width)
    steps = {variant.name: make_step(variant, widths, batch, size, device) for variant in variants}
    seconds = best_seconds(steps, options.repeats, time.process_time if device == "cpu" else time.perf_counter)
    print(f"\n{device}, widths {widths[0]}/{widths[1]}, batch {batch}, {size} px, best of {options.repeats}")
    print(f"{'step':<42}{'seconds':>9}{'images/s':>10}{'ratio':>7}")
    for name, taken in seconds.items():
        print(f"{name:<42}{taken:>9.3f}{batch / taken:>10.2f}{seconds[variants[0].name] / taken:>6.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="side of the images on the CPU")
    parser.add_argument("--batch", type=int, default=2, help="images a step on the CPU")
    parser.add_argument("--reconstructive-width", type=int, default=128)
    parser.add_argument("--discriminative-width", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    defaults = DraemParams()
    plain = Variant("plain: float32, channels first")
    layout = "channels last" if defaults.channels_last else "channels first"
    precision = "bf16" if computes_bf16(torch.device("cpu")) else "float32"  # what the default, auto, means here
    ours = Variant(f"ours: {precision}, {layout}", precision, defaults.channels_last)
    print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    variants = [plain, Variant("float32, channels last", channels_last=True), ours]
    compare(variants, options, options.batch, options.size, "cpu")
    if torch.cuda.is_available():
        bf16 = Variant("bf16, channels last", "bf16", True)
        compiled = Variant("bf16, channels last, compiled", "bf16", True, compiled=True)
        compare([plain, variants[1], bf16, compiled], options, 8, 256, "cuda")


if __name__ == "__main__":
    main()
