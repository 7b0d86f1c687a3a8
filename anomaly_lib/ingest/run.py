"""The ingest from beginning to end."""

from dataclasses import dataclass
from pathlib import Path

from anomaly_lib.data.images import Problem
from anomaly_lib.errors import InputError
from anomaly_lib.ingest.find import find_layout
from anomaly_lib.ingest.layouts import LAYOUTS, Layout
from anomaly_lib.ingest.plan import Plan, Request, count_by_split
from anomaly_lib.ingest.write import finish, is_finished, partial_folder, write_plan


@dataclass(frozen=True)
class Outcome:
    """What an ingest did."""

    target: Path
    was_there: bool
    """Whether the same ingest had been done before."""
    lines: tuple[str, ...] = ()
    """Counts and notes."""


def ingest(request: Request, output: Path | None = None, progress: bool = True) -> Outcome:
    """Bring what was asked for into ``output`` (by default the layout's), whole or not at all.

    Raises InputError for a source that is not of the layout, a target that is taken, too little room, and files that
    cannot be read. Interrupted, it leaves a hidden folder beside the target, from which the same call goes on.
    """
    layout = LAYOUTS[request.layout]
    sources = request.sources or ((layout.default_source(),) if layout.default_source else ())
    if not sources:
        raise InputError(f"which files? name the folder or archive of {layout.title} after the layout")
    target = (output or Path(layout.output)).absolute()
    record = request.settings() | {"sources": [_fingerprint(source) for source in sources]}
    if is_finished(target, record):
        return Outcome(target, was_there=True)
    with partial_folder(target, record) as folder:
        plan = _chosen(layout.plan(find_layout(request.layout, sources), request), request.categories).checked()
        lines = (*_count_lines(plan), *plan.notes)
        write_plan(plan, folder, _about(layout, lines), own=folder, progress=progress)
        finish(folder, target)
    return Outcome(target, was_there=False, lines=lines)


def _fingerprint(source: Path) -> dict:
    """Name, number of files and bytes of a source: enough to tell one from another, and quick."""
    if not source.exists():
        raise InputError(Problem(source, "no such file or folder", "name the archive or folder that you downloaded"))
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    return {"name": source.name, "files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def _chosen(plan: Plan, categories: tuple[str, ...]) -> Plan:
    """Only the wanted categories of a plan."""
    there = sorted({item.place.parts[0] for item in plan.items})
    for name in categories:
        if name not in there:
            raise InputError(f"the source has no category '{name}'; it has: {', '.join(there)}")
    if not categories:
        return plan
    return Plan(tuple(item for item in plan.items if item.place.parts[0] in categories), plan.notes)


def _count_lines(plan: Plan) -> list[str]:
    return [
        f"{category}: " + ", ".join(f"{count} {key}" for key, count in sorted(row.items()))
        for category, row in sorted(count_by_split(plan.items).items())
    ]


def _about(layout: Layout, lines: tuple[str, ...]) -> str:
    """The text that lies beside the data."""
    head = f"# {layout.title}\n\nWritten by `python -m anomaly_lib data ingest`.\n\nLicence: {layout.licence}.\n\n"
    return head + "".join(f"* {line}\n" for line in lines)
