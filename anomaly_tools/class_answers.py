"""What a class has answered: counts per option, before and after, of all files of answers in a folder.

    python -m anomaly_tools.class_answers FOLDER

Learners hand in the file below ``build/answers`` of their project. It holds no name, and nothing leaves the machine.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from anomaly_course.lessons.concept_test import ITEMS
from anomaly_course.lessons.predict import read_answers
from anomaly_lib.base.errors import InputError, exit_code

WIDTH = 20
"""Characters of the longest bar."""
RIGHT = {item.title: item.options[item.right] for item in ITEMS}


def collected(folder: Path) -> tuple[list[dict[str, dict]], list[str]]:
    """The answers of each file below the folder, and a line for each file that holds none.

    Raises InputError when there is no file of answers.
    """
    learners, problems = [], []
    for file in sorted(folder.rglob("*.json")):
        try:
            learners.append(read_answers(file))
        except InputError as error:
            problems.append(str(error))
    if not learners:
        raise InputError("\n".join([f"{folder}: no file of answers; learners find theirs in build/answers", *problems]))
    return learners, problems


def tally(learners: list[dict[str, dict]]) -> str:
    """A block of lines for each question: options with counts and bars; words where there were no options."""
    titles = {title for answers in learners for title in answers}
    # the test first; lesson 10's second question before its tenth
    ordered = sorted(titles, key=lambda title: (title[0].isdigit(), [*map(int, re.findall(r"\d+", title[:8]))], title))
    return "\n\n".join(_block(title, [answers[title] for answers in learners if title in answers]) for title in ordered)


def _block(title: str, answers: list[dict]) -> str:
    before = Counter(one["before"] for one in answers)
    after = Counter(one["after"] for one in answers if "after" in one)
    options = list(dict.fromkeys(option for one in answers for option in one["options"]))
    options += [option for option in [*before, *after] if option not in options]  # words, or an older lesson's option
    widest, most = max(map(len, options)), max([*before.values(), *after.values()])
    lines = [f"{title}   ({len(answers)} before, {after.total()} after)"]
    for option in dict.fromkeys(options):
        mark = "*" if RIGHT.get(title) == option else " "
        lines.append(
            f" {mark} {option.ljust(widest)}  before {_bar(before[option], most)}  after {_bar(after[option], most)}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _bar(count: int, most: int) -> str:
    return f"{count:3} {'#' * round(WIDTH * count / most)}".ljust(WIDTH + 4)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m anomaly_tools.class_answers", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    return exit_code(lambda: _show(options.folder))


def _show(folder: Path) -> None:
    learners, problems = collected(folder)
    print(f"{len(learners)} files of answers in {folder}; a star marks the right option of the test\n")
    print(tally(learners))
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
