"""Numbers of images, and how they differ from the published ones."""

from collections.abc import Callable, Iterable, Mapping

from anomaly_lib.ingest.plan import Item, count_by_split

Row = Mapping[str, int]
TOTALS: dict[str, Callable[[Row], int]] = {
    "images": lambda row: sum(count for key, count in row.items() if key != "masks"),
    "train": lambda row: row.get("train", 0),
    "test": lambda row: row.get("test good", 0) + row.get("test anomalous", 0),
    "masks": lambda row: row.get("masks", 0),
    "normal": lambda row: row.get("train", 0) + row.get("test good", 0),
    "anomalous": lambda row: row.get("test anomalous", 0),
}
"""What a published number can count, from the sums over all categories."""


def count_lines(items: Iterable[Item]) -> list[str]:
    """A line a category."""
    return [
        f"{category}: {text}" if category else text
        for category, row in sorted(count_by_split(items).items())
        for text in [", ".join(f"{count} {key}" for key, count in sorted(row.items()))]
    ]


def differences(items: tuple[Item, ...], published: Mapping[str, int], partial: bool) -> list[str]:
    """A line for each published total that was not met, or one that says that all were, or why none is known.

    ``partial``: only some categories were wanted, so that totals say nothing.
    """
    if partial:
        return ["published counts are of all categories: not checked"]
    if not published:
        return ["published counts are not known here: not checked"]
    rows = count_by_split(items).values()
    sums = {key: sum(row.get(key, 0) for row in rows) for row in rows for key in row}
    lines = []
    for name, expected in published.items():
        found = len({item.place.parent for item in items}) if name == "folders" else TOTALS[name](sums)
        if found != expected:
            lines.append(f"{name}: {found}, published are {expected}")
    return lines or ["counts are the published ones: " + ", ".join(f"{n} {key}" for key, n in published.items())]
