"""The layouts that can be ingested, one entry each: how it is called and recognised, who reads it, what is published.

The published counts are those whose source is known: MVTec AD, Bergmann et al., IJCV 2021; VisA, the README of its
authors; BTAD, Mishra et al., ISIE 2021; DTD, Cimpoi et al., CVPR 2014; ELPV, the page of its package. Where there is
none, nothing is checked and the command says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anomaly_tools.ingest import folders, photos, tables
from anomaly_tools.ingest.plan import CATEGORY_DEPTH, Plan, Request

NON_COMMERCIAL = "CC BY-NC-SA 4.0: not for commercial use; share alike"


@dataclass(frozen=True)
class Layout:
    """One layout. ``holds`` says whether a folder is one of those that ``plan`` takes a list of."""

    title: str
    output: str
    """Default target."""
    holds: Callable[[Path], bool]
    plan: Callable[[list[Path], Request], Plan]
    licence: str
    how_to_get: str
    """Where people find it: the name of its page, since links move."""
    published: Mapping[str, int] = field(default_factory=dict)
    """Totals as ``plan.differences`` knows them; empty where no source is known."""
    default_source: Callable[[], Path] | None = None
    """Where the data is when no source is named."""
    depth: int = CATEGORY_DEPTH
    """Parts of every place below the target."""
    next_step: str = "set 'data: {target}' and the categories in a profile's params.yaml"


LAYOUTS = {
    "mvtec": Layout(
        title="MVTec AD",
        output="data/mvtec",
        holds=folders.is_mvtec_ad,
        plan=folders.plan_mvtec_ad,
        licence=NON_COMMERCIAL,
        how_to_get="download MVTec AD from its page at mvtec.com",
        published={"train": 3629, "test": 1725, "masks": 1258},
        next_step="with DTD there, too (data ingest dtd): make repro PROFILE=mvtec, or PROFILE=paper on a GPU",
    ),
    "mvtec_ad_2": Layout(
        title="MVTec AD 2",
        output="data/mvtec_ad_2",
        holds=folders.is_mvtec_ad_2,
        plan=folders.plan_mvtec_ad_2,
        licence=NON_COMMERCIAL,
        how_to_get="download MVTec AD 2 from its page at mvtec.com",
    ),
    "mvtec_loco": Layout(
        title="MVTec LOCO AD",
        output="data/mvtec_loco",
        holds=folders.is_mvtec_loco,
        plan=folders.plan_mvtec_loco,
        licence=NON_COMMERCIAL,
        how_to_get="download MVTec LOCO AD from its page at mvtec.com",
    ),
    "visa": Layout(
        title="VisA",
        output="data/visa",
        holds=tables.is_visa,
        plan=tables.plan_visa,
        licence="CC BY 4.0",
        how_to_get="download VisA from its authors' repository amazon-science/spot-diff",
        published={"images": 10821, "normal": 9621, "anomalous": 1200},
        next_step="python -m anomaly_lib profile visa --like paper --data data/visa, then: make repro PROFILE=visa",
    ),
    "btad": Layout(
        title="BTAD",
        output="data/btad",
        holds=folders.is_btad,
        plan=folders.plan_btad,
        licence="as its authors say; read it before you use the images",
        how_to_get="download BTAD (beanTech anomaly detection) from its authors' page",
        published={"images": 2830},
        next_step="python -m anomaly_lib profile btad --like paper --data data/btad, then: make repro PROFILE=btad",
    ),
    "dtd": Layout(
        title="DTD (textures)",
        output="data/dtd",
        holds=folders.is_dtd,
        plan=folders.plan_dtd,
        licence="for research; read its page before you use the images",
        how_to_get="download DTD, the Describable Textures Dataset, from its page at robots.ox.ac.uk",
        published={"images": 5640, "folders": 47},
        depth=2,
        next_step="set 'textures: {target}' in a profile's params.yaml",
    ),
    "elpv": Layout(
        title="ELPV solar cells",
        output="data/elpv",
        holds=tables.is_elpv,
        plan=tables.plan_elpv,
        licence=NON_COMMERCIAL,
        how_to_get="pip install --editable '.[elpv]'",
        published={"images": 2624},
        default_source=tables.elpv_package,
        next_step="make repro PROFILE=elpv",
    ),
    "folder": Layout(
        title="photos of your own",
        output="data/own",
        holds=lambda folder: False,
        plan=photos.plan_photos,
        licence="yours",
        how_to_get="take photos",
        depth=3,
        next_step="name the category in profiles/own/params.yaml, then: python -m anomaly_lib fanout --profile own",
    ),
}
