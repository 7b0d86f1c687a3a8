"""The ingest from beginning to end."""

import html
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from anomaly_lib.base.errors import InputError, nearest, refused
from anomaly_lib.base.names import why_name_is_refused
from anomaly_lib.data.images import printable
from anomaly_lib.data.photos import PICTURES, LeftOut, is_of_the_system, left_out_line
from anomaly_tools.ingest.guard import OWN, guard_store
from anomaly_tools.ingest.layouts import LAYOUTS, Layout
from anomaly_tools.ingest.paths import composed
from anomaly_tools.ingest.plan import Plan, Request, count_lines, differences
from anomaly_tools.ingest.sources import find_layout, fingerprint, opened
from anomaly_tools.ingest.write import finish, hidden_folders, is_finished, partial_folder, write_plan


@dataclass(frozen=True)
class Outcome:
    """What an ingest did."""

    target: Path
    layout: Layout
    was_there: bool
    """Whether the same ingest had been done before."""
    lines: tuple[str, ...] = ()
    """Counts and notes."""
    left_out: str = ""
    """How many files were not taken and why, some of them by name; empty if all were."""
    guarded: bool = False
    """Whether ``data.dvc`` was turned away from the store inside the repository."""

    def report(self) -> str:
        """What was done and what comes next, in lines."""
        target = os.path.relpath(self.target)
        lines = [f"{target} is there already, from the same source: nothing to do"]
        if not self.was_there:
            lines = [f"wrote {target}", *(f"  {line}" for line in self.lines), *filter(None, [self.left_out])]
            lines += [f"licence: {self.layout.licence}", "next: dvc add data"]
            lines += [f"      {self.layout.next_step.format(target=target)}"]
        if self.guarded:
            lines += [f"data.dvc names the remote '{OWN}' now: 'dvc push' fails until you give it a place of your own,"]
            lines += [f"      dvc remote modify --local {OWN} url /path/or/url"]
        return "\n".join(lines)


def ingest(request: Request, output: Path | None = None, progress: bool = True) -> Outcome:
    """Write what was asked for into ``output`` (by default the layout's), atomically.

    The user's own photos become the category ``output``/name. Raises InputError for a source that is not of the layout,
    a target that is taken, too little room, and files that cannot be read. Interrupted, it leaves a hidden folder
    beside the target, from which the same call goes on.
    """
    if request.layout not in LAYOUTS:
        raise InputError(f"unknown layout '{request.layout}': {nearest(request.layout, LAYOUTS)}")
    try:
        return _ingest(request, (output or Path(LAYOUTS[request.layout].output)).absolute(), progress)
    except OSError as error:  # a name too long, a folder that may not be read, a disk that fails
        raise refused(error) from error


def _ingest(request: Request, output: Path, progress: bool) -> Outcome:
    layout = LAYOUTS[request.layout]
    sources = _sources(request, layout)
    target = output / (request.name or "")
    record = request.settings() | {"sources": [fingerprint(source) for source in sources]}
    if is_finished(target, record):
        return Outcome(target, layout, was_there=True, guarded=guard_store(target))
    guard_store(target, only_check=True)
    _, own = hidden_folders(target)
    with partial_folder(target, record) as folder:
        plan = _plan(request, layout, sources, own)
        found = differences(plan.items, layout.published, bool(request.categories))
        lines = (*count_lines(plan.items), *found, *plan.notes)
        left_out = left_out_line(plan.left_out)
        write_plan(plan, folder, _about(layout, (*lines, *filter(None, [left_out]))), own, progress)
        guarded = guard_store(target)
        finish(folder, target)
    shutil.rmtree(own, ignore_errors=True)
    return Outcome(target, layout, was_there=False, lines=lines, left_out=left_out, guarded=guarded)


def _sources(request: Request, layout: Layout) -> tuple[Path, ...]:
    """What is read, after the first look at what was asked for."""
    photos = request.layout == "folder"
    if photos and (request.sources or request.categories):
        raise InputError("'data ingest folder' takes --good, --bad and --masks instead of a source and --category")
    if photos and not (request.good and request.name):
        raise InputError("which photos? give --good with a folder, and --name for the category")
    if photos and request.masks and not request.bad:
        raise InputError("--masks needs --bad: masks say where the defects of bad photos are")
    if not photos and any((request.good, request.bad, request.masks, request.name)):
        raise InputError(f"--good, --bad, --masks and --name are for 'data ingest folder', not for {request.layout}")
    if request.name is not None and (reason := why_name_is_refused(request.name)):
        remedy = "name the category by letters, digits, '.', '_' and '-', not a path"
        raise InputError(printable(f"--name {request.name}: {reason}; {remedy}"))
    sources = request.folders() or ((layout.default_source(),) if layout.default_source else ())
    if not sources:
        raise InputError(f"which files? name the folder or archive of {layout.title} after '{request.layout}'")
    return sources


def _plan(request: Request, layout: Layout, sources: tuple[Path, ...], own: Path) -> Plan:
    if request.layout == "folder":
        return layout.plan([], request).checked(layout.depth)
    folders = find_layout(request.layout, opened(sources, own))
    plan = layout.plan(folders, request).checked(layout.depth)
    if not plan.items:
        raise InputError(f"{', '.join(map(str, sources))}: nothing to ingest; name the folder or archive of the images")
    left_out = _left_out(folders, plan)
    there = sorted({item.place.parts[0] for item in plan.items})
    for name in request.categories:
        if composed(name) not in map(composed, there):
            raise InputError(printable(f"the source has no category '{name}'; it has: {', '.join(there)}"))
    if not request.categories:
        return replace(plan, left_out=left_out)
    wanted = set(map(composed, request.categories))
    return Plan(tuple(item for item in plan.items if composed(item.place.parts[0]) in wanted), plan.notes)


def _left_out(folders: list[Path], plan: Plan) -> LeftOut:
    """Files of images that a public layout does not take, such as later additions."""
    taken = {source for item in plan.items for source in item.sources}
    others = [
        os.path.relpath(path, folder.parent)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path not in taken and path.suffix.lower() in PICTURES and path.is_file() and not is_of_the_system(path)
        if not path.relative_to(folder).parts[0].startswith("test_private")  # named by its layout
    ]
    return {"images that the layout has no place for": others} if others else {}


def _about(layout: Layout, lines: tuple[str, ...]) -> str:
    """The text that lies beside the data."""
    head = f"# {layout.title}\n\nWritten by `python -m anomaly_lib data ingest`.\n\nLicence: {layout.licence}.\n\n"
    return head + "".join(f"* {_markdown(line)}\n" for line in lines)


def _markdown(text: str) -> str:
    """A line with file names in it as text that Markdown shows as it is."""
    return re.sub(r"([\\`*|\[\]!~])", r"\\\1", html.escape(printable(text), quote=False))
