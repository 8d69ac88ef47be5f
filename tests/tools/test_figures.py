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
    figures.renew(page, "tables", MADE, figures.keys_of_benchmark)
    expected = BENCHMARK.replace("prior one", "prior two", 1).replace("0.90", "0.80")
    assert page.read_text() == expected


def test_a_row_that_a_page_lacks_is_refused(page):
    with pytest.raises(ValueError, match="has no row of ## mend, \\*\\*mend\\*\\*, theirs"):
        figures.renew(page, "tables", [*MADE, "| theirs | 0.70 |"], figures.keys_of_benchmark)
    with pytest.raises(ValueError, match="columns of ## mend"):
        figures.renew(page, "tables", [*MADE[:6], "| method | ESTOI |"],
                      figures.keys_of_benchmark)
    assert page.read_text() == BENCHMARK


def test_the_first_row_alone_names_its_task(page):
    rows = ["| task | method | LSD |", "|---|---|---|", "| mend | input | 1.00 |",
            "|  | ours, 1 step | 0.90 |"]
    page.write_text("\n".join(["<!-- figures -->", *rows, "<!-- end -->", ""]))
    figures.renew(page, "figures", [*rows[:2], "| mend | ours, 1 step | 0.80 |"],
                  figures.keys_of_readme)
    assert page.read_text().split("\n")[3:5] == [rows[2], "|  | ours, 1 step | 0.80 |"]


def test_what_stands_between_is_replaced(page):
    figures.replace_between(page, "tables", ["new"])
    assert page.read_text() == "Before.\n<!-- tables -->\nnew\n<!-- end -->\nAfter.\n"
    assert figures.between(page, "tables") == ["new"]
