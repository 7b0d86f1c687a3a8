"""Ten questions on what people often get wrong, to be answered before the lessons and again after them.

    python -m anomaly_course.lessons.concept_test > docs/teach/concept_test.md

writes them on paper, with their answers. They follow the tables "Wrong answers to expect" of docs/teach.
"""

import html
from dataclasses import dataclass

import ipywidgets

from anomaly_course.lessons.predict import Question, answers_file, choice, keep, read_answers
from anomaly_lib.base.errors import InputError


@dataclass(frozen=True)
class Item:
    """A question, what can be answered, which answer is right, and why."""

    ask: str
    options: tuple[str, ...]
    right: int
    why: str

    @property
    def title(self) -> str:
        """Under which its answers are kept and counted."""
        return f"test {ITEMS.index(self) + 1:02d} · {self.ask}"


ITEMS = (
    Item(
        "A detector gives every image the same score. What is its AUROC?",
        ("0", "0.5", "1", "it has none"),
        1,
        "Each pair of a normal and a defective image is tied, and a tie counts half.",
    ),
    Item(
        "What must DRAEM's synthetic defects look like?",
        (
            "unlike normal, some of them only a little",
            "like the real ones, as closely as possible",
            "like the textures of other products",
            "like the most frequent real defect",
        ),
        0,
        "The network learns where normal ends. Faint anomalies draw that border tightly; real defects are not needed.",
    ),
    Item(
        "Eq. (4) of DRAEM with an opacity β of 1: what is seen inside the mask?",
        ("image plus texture", "the image alone", "the texture alone", "half of each"),
        2,
        "The blend is a mean with the weights 1 − β and β, not a sum.",
    ),
    Item(
        "Same model and threshold, but one part in a hundred is defective, not every second. What falls?",
        ("recall", "precision", "both", "neither"),
        1,
        "Recall looks at defective parts only. False alarms come from normal parts, and of these there are more now.",
    ),
    Item(
        "Why is DFR's pretrained network not trained along with the autoencoder?",
        (
            "only to save time",
            "it was trained on these parts before",
            "its weights are too large for a laptop's memory",
            "both could agree on constant features, which cost no error",
        ),
        3,
        "Error zero everywhere would be reached by features that say nothing.",
    ),
    Item(
        "The autoencoder may keep more and more numbers per region. How well does its error show a defect?",
        ("better and better", "worse and worse", "best somewhere in between", "always alike"),
        2,
        "With none, normal variation is not restored either; with all, everything is copied, the defect as well.",
    ),
    Item(
        "A defective image scores above the threshold. What do we know?",
        (
            "it is called anomalous, perhaps for another place",
            "the defect was seen",
            "its map points at the defect",
            "the threshold is too low",
        ),
        0,
        "The score is one number of the whole image. Look at the map: is it bright at the defect?",
    ),
    Item(
        "What does DMAD's deformation field say at a place of the new picture?",
        ("where this pixel goes", "where in the old picture to read", "how anomalous it is", "how bright it becomes"),
        1,
        "It pulls. If pixels were sent off, some places would get none.",
    ),
    Item(
        "A code of the memory is nobody's nearest. What becomes of it in training?",
        ("it learns more slowly", "it moves to the mean", "it is deleted", "nothing: it has no gradient"),
        3,
        "Only chosen codes are moved, so an unused one stays where it began.",
    ),
    Item(
        "Of twenty equally good models the best on forty test images is reported. Its AUROC there is",
        ("too high", "right", "too low", "right if the seed is fixed"),
        0,
        "The best of twenty is best by luck, which does not come along to new images.",
    ),
)


def concept_test() -> Question:
    """All questions with one button. What is kept first is *before*; later it is *after*, and the results are shown."""
    answers, said = [choice(item.options) for item in ITEMS], ipywidgets.HTML()
    button = ipywidgets.Button(description="Keep my answers", layout={"width": "max-content"})

    def commit(_button: ipywidgets.Button) -> None:
        missing = [str(number) for number, answer in enumerate(answers, 1) if answer.value is None]
        if missing:
            said.value = f"Still open: {', '.join(missing)}. A guess is welcome."
            return
        try:
            kept = [keep(item.title, item.options, str(a.value)) for item, a in zip(ITEMS, answers, strict=True)]
        except InputError as error:
            said.value = html.escape(str(error))
            return
        button.disabled = True
        again = all("after" in one for one in kept)
        said.value = _results(kept) if again else "Kept. You will meet these questions again after lesson 50."

    button.on_click(commit)
    asked = [_words(f"<b>{number}.</b> {html.escape(item.ask)}") for number, item in enumerate(ITEMS, 1)]
    rows = [part for pair in zip(asked, answers, strict=True) for part in pair]
    try:
        if ITEMS[0].title in read_answers(answers_file()):
            rows.insert(0, _words("You have answered these before; now once more."))
    except InputError as error:
        said.value = html.escape(str(error))
    listed = [html.escape(f"{n}. {item.ask} ({' / '.join(item.options)})") for n, item in enumerate(ITEMS, 1)]
    return Question([*rows, button, said], "<br>".join(listed))


def _words(text: str) -> ipywidgets.HTML:
    return ipywidgets.HTML(f"<div style='line-height: 1.4; white-space: normal'>{text}</div>")


def _results(kept: list[dict[str, str]]) -> str:
    right = {
        when: sum(one[when] == item.options[item.right] for item, one in zip(ITEMS, kept, strict=True))
        for when in ("before", "after")
    }
    lines = [f"Right before: {right['before']} of {len(ITEMS)}; right now: {right['after']}."]
    for number, (item, one) in enumerate(zip(ITEMS, kept, strict=True), 1):
        if one["after"] != item.options[item.right]:
            lines.append(f"{number}. <b>{html.escape(item.options[item.right])}</b>. {html.escape(item.why)}")
    return "<br>".join(lines)


def on_paper() -> str:
    """The page docs/teach/concept_test.md."""
    lines = [
        "# Ten questions, before and after",
        "",
        "On what people often get wrong (the tables of [DRAEM](draem.md), [DFR](dfr.md), [DMAD](dmad.md)). Ask them",
        "before the first lesson and again after the last, on paper or in the lessons 00 and 50; one point for a right",
        "answer. This page is made by `python -m anomaly_course.lessons.concept_test`.",
        "",
    ]
    for number, item in enumerate(ITEMS, 1):
        lines += [f"**{number}.** {item.ask}", ""]
        lines += [f"* {letter}) {option}" for letter, option in zip("abcd", item.options, strict=True)] + [""]
    lines += ["## Answers", ""]
    for number, item in enumerate(ITEMS, 1):
        lines.append(f"{number}. **{'abcd'[item.right]}) {item.options[item.right]}.** {item.why}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(on_paper(), end="")
