"""Tables of figures in pages: written anew, whole or by their rows."""

import pytest

import figures

BENCHMARK = """Before.
<!-- tables -->
Machine: old.

## mend

2 clips of 4 s, prior one

**mend**

| method | LSD |
|---|---|
| input | 1.00 |
| ours | 0.90 |

## inpaint

2 clips of 4 s, prior one

**inpaint**

| method | LSD |
|---|---|
| ours | 0.50 |
<!-- end -->
After.
"""
MADE = ["## mend", "", "2 clips of 4 s, prior two", "", "**mend**", "", "| method | LSD |",
        "|---|---|", "| ours | 0.80 |"]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(BENCHMARK)
    return path


def test_rows_alone_are_written_anew(page):
    """A row of other steps, which the page lacks, stays away."""
    made = [*MADE, "| ours, 8 steps | 0.70 |"]
    lines = figures.renewed(page, "tables", made, figures.keys_of_benchmark)
    expected = BENCHMARK.replace("prior one", "prior two", 1).replace("0.90", "0.80")
    assert "\n".join(lines) in expected


@pytest.mark.parametrize("made, said", [
    ([*MADE, "| theirs | 0.70 |"], "has no row of ## mend, \\*\\*mend\\*\\*, theirs"),
    ([*MADE[:6], "| method | ESTOI |"], "columns of ## mend"),
    ([*MADE[:2], "12 clips of 4 s, prior two", *MADE[3:]], "## mend is of 2 clips, not of 12")])
def test_what_does_not_suit_a_page_is_refused(page, made, said):
    with pytest.raises(ValueError, match=said):
        figures.renewed(page, "tables", made, figures.keys_of_benchmark)


def test_the_first_row_alone_names_its_task(page):
    rows = ["| task | method | LSD |", "|---|---|---|", "| mend | input | 1.00 |",
            "|  | ours, 1 step | 0.90 |"]
    page.write_text("\n".join(["<!-- figures -->", *rows, "<!-- end -->", ""]))
    lines = figures.renewed(page, "figures", [*rows[:2], "| mend | ours, 1 step | 0.80 |"],
                            figures.keys_of_readme)
    assert lines[2:] == [rows[2], "|  | ours, 1 step | 0.80 |"]


def test_results_that_are_missing_are_named(tmp_path):
    with pytest.raises(ValueError, match="lacks results of .*mend"):
        figures.main(tmp_path)
    (tmp_path / "mend.json").write_text('{"cases": {}}')
    with pytest.raises(ValueError, match="lacks results of .*declip"):
        figures.main(tmp_path, "a machine")


def test_what_stands_between_is_replaced(page):
    figures.replace_between(page, "tables", ["new"])
    assert page.read_text() == "Before.\n<!-- tables -->\nnew\n<!-- end -->\nAfter.\n"
    assert figures.between(page, "tables") == ["new"]
