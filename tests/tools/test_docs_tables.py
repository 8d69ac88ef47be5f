import json

import pytest

import docs_tables

PAGE = """# A page

**one**

| method | a | b |
|---|---|---|
| input | 1 | 2 |
| ours | 3 | 4 |

**two**

No table.
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(docs_tables, "DOCS", tmp_path)
    (tmp_path / "page.md").write_text(PAGE)


def test_columns_and_rows_of_a_table(page):
    lines = docs_tables.table("page.md", "**one**", "b", rows="ours").splitlines()
    assert lines[:3] == ["| method | b |", "|---|---|", "| ours | 4 |"]
    assert "[A page](../page.md)" in lines[-1]


@pytest.mark.parametrize(("line", "column", "rows"), [
    ("**three**", "a", ""), ("**two**", "a", ""), ("**one**", "c", ""), ("**one**", "a", "x")])
def test_what_is_missing_is_told(page, line, column, rows):
    with pytest.raises(ValueError, match=r"no |not in"):
        docs_tables.table("page.md", line, column, rows=rows)


def test_players_and_picture(tmp_path):
    (tmp_path / "sounds.json").write_text(json.dumps({"declip": [
        {"title": "clipped", "file": "declip-0.flac", "si_snr": 3.04, "lsd": 0.5}]}))
    page = docs_tables.listen("declip", tmp_path, "")
    assert 'src="sounds/declip-0.flac"' in page and "SI-SNR 3.0 dB, LSD 0.50" in page
    assert "(sounds/declip.png)" in page


def test_every_card_is_a_table():
    cards = docs_tables.models()
    assert "## speech16k" in cards and "recipe: enhancer16k" in cards and "loss curve" not in cards
