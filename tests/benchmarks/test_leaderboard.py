"""The page of every task and system."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from voxmend import audio
from voxmend.benchmarks import protocols
from voxmend.benchmarks.scoring import Example
from voxmend.restore.damage import Damage

TOOL = Path(__file__).parents[2] / "tools" / "leaderboard.py"


@pytest.fixture
def leaderboard():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("leaderboard", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(**changes):
    return {"version": "1", "prior": "p", "sha256": "c0", "seed": 0, "clips": 2, "seconds": 4,
            "device": "cpu", "precision": "fp32", "machine": "a machine", "notes": ["A note."],
            **changes}


def row(name, examples="e0", **figures):
    return {"method": name, "examples": examples, **figures,
            "intervals": {key: [value - 1, value + 1] for key, value in figures.items()
                          if value is not None}}


def write(path, *results):
    files = [path / f"{number}.json" for number in range(len(results))]
    for file, some in zip(files, results):
        file.write_text(json.dumps(some))
    return files


def test_the_page_orders_systems_and_links_their_sounds(leaderboard, tmp_path):
    files = write(tmp_path, result(cases={"Noise, at 5 dB": [row("worse (1.0)", si_snr=5.0),
                                                             row("better", si_snr=7.0)]}))
    wave, page = np.full(800, 0.5, np.float32), tmp_path / "page.md"
    example = Example(wave, wave, Damage())
    folder = tmp_path / "sounds" / "noise-at-5-db" / "better"
    method = protocols.kept(lambda e: 4 * e.damaged, [example], folder)
    np.testing.assert_array_equal(method(example), 4 * wave)  # what is scored is not scaled
    assert np.abs(audio.load(folder / "1.flac", 16000)).max() == pytest.approx(1, abs=1e-3)
    leaderboard.main(page, files, tmp_path / "sounds")
    text = page.read_text()
    assert text.index("| better | **7.00** (6.00…8.00) |") < text.index("| worse (1.0) | 5.00")
    assert "2 clips of 4 s, voxmend 1, prior p (c0), seed 0, cpu, fp32: a machine" in text
    assert "A note." in text
    assert "- better: [1](sounds/noise-at-5-db/better/1.flac)" in text
    assert "(page-noise-at-5-db.png)" in text and (tmp_path / "page-noise-at-5-db.png").is_file()


def test_rows_of_the_same_clips_are_joined_and_of_others_are_not(leaderboard, tmp_path):
    files = write(
        tmp_path, result(cases={leaderboard.REAL: [row("noisy", si_snr=1.0), row(
            "theirs (pack 2.0, MIT)", si_snr=3.0, dnsmos=2.0)]}, models={"theirs": "c1"}),
        result(cases={leaderboard.REAL: [row("noisy", si_snr=1.0, words_changed=0.1), row(
            "ours", si_snr=2.0, words_changed=0.3), row("ours + refined", si_snr=9.0)]}),
        result(cases={leaderboard.REAL: [row("ours", "e1", si_snr=8.0)]}, clips=1))
    page, readme = tmp_path / "page.md", tmp_path / "readme.md"
    readme.write_text("Before.\n<!-- rivals -->\nold\n<!-- end -->\nAfter.\n")
    leaderboard.main(page, files, readme=readme)
    text = page.read_text()
    assert f"## {leaderboard.REAL}: 2 clips of 4 s\n\n2 clips of 4 s, in 2 runs:" in text
    assert "- voxmend 1, prior p (c0), theirs (c1), seed 0, cpu, fp32: a machine: noisy, theirs" \
        in text
    assert f"## {leaderboard.REAL}: 1 clips of 4 s\n\n1 clips of 4 s, voxmend" in text
    assert text.count("| noisy | 1.00 (0.00…2.00) | – | **0.100** (-0.900…1.100) |") == 1
    assert readme.read_text().splitlines() == [
        "Before.", "<!-- rivals -->",
        "| method | SI-SNR dB | DNSMOS OVRL | words changed |", "|---|---|---|---|",
        "| theirs | **3.00** | **2.00** | – |", "| ours | 2.00 | – | 0.300 |",
        "| noisy | 1.00 | – | **0.100** |", "<!-- end -->", "After."]


def test_vocode_is_ranked_by_what_does_not_ask_for_phases(leaderboard, tmp_path):
    rows = [row("near", si_snr=9.0, pesq_wb=2.0), row("clear", si_snr=1.0, pesq_wb=3.0)]
    page = tmp_path / "page.md"
    leaderboard.main(page, write(tmp_path, result(cases={"vocode": rows, "mend": rows})))
    vocode, mend = page.read_text().split("## mend")
    assert vocode.index("| clear") < vocode.index("| near")
    assert mend.index("| near") < mend.index("| clear")


def test_two_runs_that_disagree_are_not_joined(leaderboard, tmp_path):
    results = [result(cases={"case": [row("ours", si_snr=value)]}) for value in (1.0, 2.0)]
    with pytest.raises(ValueError, match="case: ours of two runs differs in si_snr"):
        leaderboard.main(tmp_path / "page.md", write(tmp_path, *results))


def test_what_is_renewed_leaves_the_other_sections(leaderboard, tmp_path):
    page, before = tmp_path / "page.md", [row("ours", si_snr=1.0)]
    leaderboard.main(page, write(tmp_path, result(cases={"mend": before, "declip": before})))
    old = page.read_text()
    leaderboard.main(page, write(tmp_path, result(cases={"mend": before})), renew=True)
    assert page.read_text() == old
    better = result(cases={"mend": [row("ours", si_snr=2.0)]})
    leaderboard.main(page, write(tmp_path, better), renew=True)
    mend, declip = old.split("## declip")
    assert page.read_text() == mend.replace(
        "**1.00**", "**2.00**").replace("(0.00…2.00)", "(1.00…3.00)") + "## declip" + declip
    with pytest.raises(ValueError, match="has no section inpaint"):
        leaderboard.main(page, write(tmp_path, result(cases={"inpaint": before})), renew=True)


def test_what_is_renewed_keeps_the_other_rows(leaderboard, tmp_path):
    """With where they ran, their digits and what follows the table."""
    page, rows = tmp_path / "page.md", [row("theirs (pack 2.0, MIT)", si_snr=2.0, lsd=None),
                                        row("noisy", si_snr=-1.0, lsd=1.5)]
    runs = [result(cases={"mend": rows}, models={"theirs": "c1"}, notes=["Of old."]),
            result(cases={"mend": [row("ours", si_snr=1.0, lsd=0.5)]}, prior="q")]
    leaderboard.main(page, write(tmp_path, *runs))
    old = page.read_text()
    leaderboard.main(page, write(tmp_path, runs[1]), renew=True)
    lines = page.read_text().splitlines()
    assert sorted(lines) == sorted(old.splitlines())  # runs change places
    new = result(cases={"mend": [row("ours", si_snr=3.0, lsd=0.5)]}, prior="r")
    leaderboard.main(page, write(tmp_path, new), renew=True)
    text = page.read_text()
    assert text.index("| ours | **3.00** (2.00…4.00)") < text.index("| theirs (pack 2.0, MIT) | 2")
    assert "| noisy | -1.00 (-2.00…0.00) | 1.500 (0.500…2.500) |" in text
    assert "prior r (c0)" in text and "prior q" not in text and "Of old." in text
    assert "theirs (c1), seed 0, cpu, fp32: a machine: theirs, noisy" in text


def test_a_section_of_other_clips_is_not_renewed(leaderboard, tmp_path):
    page, rows = tmp_path / "page.md", [row("ours", si_snr=1.0)]
    sizes = [result(cases={"mend": rows}),
             result(cases={"mend": [row("ours", "e1", si_snr=3.0)]}, clips=3)]
    leaderboard.main(page, write(tmp_path, *sizes))
    old = page.read_text()
    leaderboard.main(page, write(tmp_path, sizes[1]), renew=True)  # by its size
    assert page.read_text() == old
    with pytest.raises(ValueError, match="has no section mend"):
        leaderboard.main(page, write(tmp_path, result(cases={"mend": rows}, clips=4)), renew=True)
    with pytest.raises(ValueError, match="the short table is of"):
        leaderboard.main(page, write(tmp_path, sizes[0]), readme=tmp_path / "r.md", renew=True)
    assert page.read_text() == old
    leaderboard.main(page, write(tmp_path, sizes[0]))
    with pytest.raises(ValueError, match="mend is of 2 clips of 4 s, not of 3 clips"):
        leaderboard.main(page, write(tmp_path, sizes[1]), renew=True)


def test_two_sections_of_one_title_are_refused(leaderboard, tmp_path):
    results = [result(cases={"mend": [row("ours", name, si_snr=1.0)]}) for name in ("e0", "e1")]
    with pytest.raises(ValueError, match="results of other clips"):
        leaderboard.main(tmp_path / "page.md", write(tmp_path, *results))
