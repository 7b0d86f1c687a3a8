"""Predictions that a learner commits before a cell is run, kept in a file of their own; names are not asked for.

The file is ``build/answers/NUMBER.json`` of the project, or lies in the folder of the environment variable
ANOMALY_ANSWERS. ``make class FOLDER=...`` counts the answers of all files that a teacher has collected in a folder.
"""

import html
import json
import os
import secrets
from pathlib import Path

import ipywidgets

from anomaly_course.widgets.picture import WIDGET_VIEW, KeysStay
from anomaly_lib.base.errors import InputError
from anomaly_lib.base.files import replacing
from anomaly_lib.params import project_root

ASK, AGAIN = "That is my answer", "I think otherwise now"


def answers_file() -> Path:
    """The learner's file; one with a random number where there is none yet."""
    folder = Path(os.environ.get("ANOMALY_ANSWERS") or project_root() / "build/answers")
    return next(iter(sorted(folder.glob("*.json"))), folder / f"{secrets.token_hex(4)}.json")


def read_answers(file: Path) -> dict[str, dict]:
    """{title: {"options", "before", "after"}}; empty without the file. Raises InputError for one that is none."""
    try:
        answers = json.loads(file.read_text(encoding="utf-8"))["answers"] if file.exists() else {}
        texts = [text for one in answers.values() for text in (one["before"], one.get("after", ""), *one["options"])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        texts = [None]
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{file}: not a file of answers; move it away")
    return answers


def keep(title: str, options: tuple[str, ...], answer: str) -> dict[str, str]:
    """Keep an answer: the first one stays for good as ``before``, the latest later one is ``after``; both come back.

    Raises InputError where it cannot be kept.
    """
    file = answers_file()
    answers = read_answers(file)
    if title in answers:
        answers[title]["after"] = answer
    else:
        answers[title] = {"options": list(options), "before": answer}
    try:
        with replacing(file) as temporary:
            temporary.write_text(json.dumps({"answers": answers}, indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; your answer was not kept") from error
    return answers[title]


class Question(ipywidgets.VBox):
    """Controls that need a kernel, with words for pages that have none."""

    def __init__(self, children: list, words: str):
        super().__init__(children)
        self.words, self.keys_stay = words, KeysStay()

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        if bundle and WIDGET_VIEW in bundle:
            bundle["text/html"] = f'<p class="prediction">{self.words}</p>'
        return bundle


def choice(options: tuple[str, ...]) -> ipywidgets.RadioButtons:
    """Options below each other, none of them chosen."""
    return ipywidgets.RadioButtons(options=options, value=None, layout={"width": "max-content"})


def predict(title: str, *options: str) -> Question:
    """Ask for a prediction: one of the options, or words where there are none. It is kept when the button is pressed.

    ``title`` begins with the lesson's number; answers are counted under it.
    """
    answer = choice(options) if options else ipywidgets.Text(placeholder="a few words", layout={"width": "60%"})
    button, said = ipywidgets.Button(description=ASK, layout={"width": "max-content"}), ipywidgets.HTML()

    def commit(_button: ipywidgets.Button) -> None:
        if not answer.value:
            said.value = "Nothing is chosen yet." if options else "Nothing is written yet."
            return
        try:
            _show(said, button, keep(title, options, answer.value))
        except InputError as error:
            said.value = html.escape(str(error))

    button.on_click(commit)
    try:
        if earlier := read_answers(answers_file()).get(title):
            _show(said, button, earlier)
    except InputError as error:
        said.value = html.escape(str(error))
    listed = " · ".join(map(html.escape, options)) or "in a few words"
    return Question([answer, ipywidgets.HBox([button, said])], f"Your prediction: {listed}")


def _show(said: ipywidgets.HTML, button: ipywidgets.Button, kept: dict[str, str]) -> None:
    button.description = AGAIN
    words = f"Kept: {kept['before']}." if "after" not in kept else f"First: {kept['before']}; then: {kept['after']}."
    said.value = f'<span role="status">{html.escape(words)}</span>'
