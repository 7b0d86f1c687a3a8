"""The layouts that can be ingested, a line each: what they are called, how they are recognised, who reads them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anomaly_lib.ingest import elpv
from anomaly_lib.ingest.plan import Plan, Request


@dataclass(frozen=True)
class Layout:
    """One layout. ``holds`` says whether a folder is what ``plan`` takes a list of."""

    title: str
    output: str
    """Default target."""
    holds: Callable[[Path], bool]
    plan: Callable[[list[Path], Request], Plan]
    licence: str
    default_source: Callable[[], Path] | None = None
    """Where the data is when no source is named."""
    profile: str | None = None
    """The profile that is written for it."""


LAYOUTS = {
    "elpv": Layout(
        title="ELPV solar cells",
        output="data/elpv",
        holds=elpv.is_elpv,
        plan=elpv.plan_elpv,
        licence="CC BY-NC-SA 4.0: not for commercial use; share alike",
        default_source=elpv.package_folder,
        profile="elpv",
    ),
}
