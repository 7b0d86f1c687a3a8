"""Predictions and the concept test: the first answer stays, a later one is kept beside it, and a class is counted."""

import json
import re

import nbformat
import pytest

from anomaly_course.lessons.cells import LESSONS, lesson_files
from anomaly_course.lessons.concept_test import ITEMS, concept_test, on_paper
from anomaly_course.lessons.predict import AGAIN, ASK, answers_file, keep, predict, read_answers
from anomaly_lib.base.errors import InputError
from anomaly_tools.class_answers import main
from tests.helpers import functions_called


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ANOMALY_ANSWERS", str(tmp_path / "answers"))
    return tmp_path / "answers"


def parts(question):
    answer, row = question.children
    return answer, *row.children


def test_nothing_is_kept_before_the_button_is_pressed_and_something_is_chosen(folder):
    answer, button, said = parts(predict("1.1 · dice", "even", "odd"))
    button.click()
    assert said.value == "Nothing is chosen yet."
    answer.value = "odd"
    assert not folder.exists()
    button.click()
    (file,) = folder.iterdir()
    assert re.fullmatch(r"[0-9a-f]{8}\.json", file.name)
    assert json.loads(file.read_text()) == {"answers": {"1.1 · dice": {"options": ["even", "odd"], "before": "odd"}}}


def test_the_first_answer_stays_and_the_latest_is_kept_beside_it():
    answer, button, said = parts(predict("1.1 · dice", "even", "odd"))
    assert button.description == ASK
    for value in ("odd", "even", "odd"):
        answer.value = value
        button.click()
    assert button.description == AGAIN
    kept = {"options": ["even", "odd"], "before": "odd", "after": "odd"}
    assert read_answers(answers_file())["1.1 · dice"] == kept
    # and is still there when the lesson is opened again
    *_, said = parts(predict("1.1 · dice", "even", "odd"))
    assert "First: odd; then: odd." in said.value


def test_without_options_words_are_asked_for():
    answer, button, said = parts(predict("1.2 · why"))
    button.click()
    assert said.value == "Nothing is written yet."
    answer.value = "<b>because</b>"
    button.click()
    assert "Kept: &lt;b&gt;because&lt;/b&gt;." in said.value


def test_all_answers_go_to_one_file_and_one_that_is_none_is_named_and_left_alone(folder):
    keep("a", ("1",), "1")
    keep("b", ("2",), "2")
    (file,) = folder.iterdir()
    assert set(read_answers(file)) == {"a", "b"}
    for text in ("no JSON", "[]", "{}", '{"answers": []}', '{"answers": {"a": {"before": 3, "options": []}}}'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"\.json: not a file of answers"):
            keep("c", ("3",), "3")
        *_, said = parts(predict("c", "3"))
        assert "not a file of answers" in said.value
        assert file.read_text() == text


def test_a_page_without_a_kernel_shows_the_options():
    bundle = predict("1.1 · dice", "even", "<odd>")._repr_mimebundle_()
    assert bundle["text/html"] == '<p class="prediction">Your prediction: even · &lt;odd&gt;</p>'


def pressed(test, chosen):
    radios = [child for child in test.children if hasattr(child, "options")]
    for radio, option in zip(radios, chosen, strict=False):
        radio.value = option
    button, said = test.children[-2:]
    button.click()
    return said.value


def test_the_concept_test_wants_all_answers_and_shows_results_the_second_time_only():
    wrong = [item.options[item.right - 1] for item in ITEMS]
    right = [item.options[item.right] for item in ITEMS]
    assert pressed(concept_test(), wrong[:8]) == "Still open: 9, 10. A guess is welcome."
    first = pressed(concept_test(), wrong)
    assert "lesson 50" in first
    assert not any(item.why in first for item in ITEMS)
    second = pressed(concept_test(), [*right[:9], wrong[9]])
    assert "Right before: 0 of 10; right now: 9." in second
    assert f"<b>{right[9]}</b>" in second
    assert right[0] not in second


def test_the_concept_test_is_ten_questions_whose_page_is_current(root):
    assert len(ITEMS) == len({item.ask for item in ITEMS}) == 10
    assert all(0 <= item.right < len(item.options) == len(set(item.options)) == 4 for item in ITEMS)
    assert {item.right for item in ITEMS} == {0, 1, 2, 3}
    page = (root / "docs/teach/concept_test.md").read_text(encoding="utf-8")
    assert page == on_paper(), "run python -m anomaly_course.lessons.concept_test > docs/teach/concept_test.md"


def test_each_lessons_predictions_have_titles_of_their_own_that_begin_with_its_number(root):
    for file in lesson_files(root):
        notebook = nbformat.read(file, 4)
        titles = [call.args[0].value for call in functions_called(notebook, "predict")]
        number = int(file.stem[:2])
        assert [title.split(" · ")[0] for title in titles] == [f"{number:02d}.{n + 1}" for n in range(len(titles))]
        asked = [c for c in notebook.cells if c.cell_type == "markdown" and re.search(r"^\*\*Predict", c.source, re.M)]
        assert len(asked) == len(titles) >= 1, "a prediction without a place to commit it"
        assert LESSONS in file.relative_to(root).parents


def test_a_class_is_counted_by_option_before_and_after(folder, capsys):
    learners = [("odd", "even"), ("odd", "odd"), ("even", None)]
    for number, (before, after) in enumerate(learners):
        one = {"options": ["even", "odd"], "before": before} | ({"after": after} if after else {})
        answers = {"10.10 · late": one, "10.2 · early": one}
        if number == 0:
            answers |= {ITEMS[0].title: {"options": list(ITEMS[0].options), "before": "1"}}
        place = folder / f"row {number}/{number}.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps({"answers": answers}))
    (folder / "broken.json").write_text("{")
    assert main([str(folder)]) == 0
    said, error = capsys.readouterr()
    assert said.startswith(f"3 files of answers in {folder}; a star marks the right option of the test\n\ntest 01 ·")
    begin = said.splitlines().index("10.2 · early   (3 before, 2 after)")
    assert said.splitlines()[begin : begin + 4] == [
        "10.2 · early   (3 before, 2 after)",
        "   even  before   1 ##########            after   1 ##########",
        "   odd   before   2 ####################  after   1 ##########",
        "",
    ]
    assert said.index("10.2 ·") < said.index("10.10 ·")
    assert re.search(r"^ \* 0\.5 +before +0 +after +0$", said, re.MULTILINE)
    assert "left out" in error
    assert "broken.json" in error


def test_a_folder_without_answers_is_named(folder, capsys):
    assert main([str(folder)]) == 2
    assert "no file of answers; learners find theirs in build/answers" in capsys.readouterr().err
