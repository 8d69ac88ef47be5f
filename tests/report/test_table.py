"""The order of a table, and what severity is measured by."""

import math

import numpy as np
import pytest

from helpers.pages import Page
from voxmend.report import Row, severity, table
from voxmend.restore.damage import Damage

RNG = np.random.default_rng(0)


def test_clipping_counts_as_the_distortion_that_it_is():
    wave = RNG.laplace(size=400_000)
    for share in (0.01, 0.1):
        level = np.quantile(np.abs(wave), 1 - share)
        distortion = wave - wave.clip(-level, level)
        assert severity([Damage(clipped=share, rms=1.0)], 1.0) == pytest.approx(
            distortion.std() / wave.std(), rel=0.05)


def test_reverberation_counts_as_the_energy_that_comes_late():
    time = np.arange(0, 3, 1e-4)
    decay = 10 ** (-6 * time / 0.6)
    late = decay[time >= 0.05].sum() / decay.sum()
    assert severity([Damage(reverberation=0.6, rms=1.0)], 1.0) == pytest.approx(late, rel=1e-3)


def test_other_kinds_count_by_their_shares():
    assert severity([Damage(rms=1.0)], 1.0) == 0 and severity([], 1.0) == 0
    assert severity([Damage(), Damage(rms=1.0)], 1.0) == 1  # a channel in which nothing is
    assert severity([Damage(gaps=((0.0, 1.0),), ends=((3.0, 4.0),), rms=1.0)], 4.0) == 0.5
    assert severity([Damage(noise=0.3, coloured=0.4, rms=1.0)], 1.0) == pytest.approx(0.5)
    half = 700 * (math.sqrt(1 + 8000 / 700) - 1)  # Hz in the middle of the mels
    assert severity([Damage(cutoff=half, rms=1.0)], 1.0) == pytest.approx(0.5)
    assert severity([Damage(low_cutoff=half, rms=1.0)], 1.0) == pytest.approx(0.5)
    assert severity([Damage(clicks=5, rms=1.0)], 1.0) == pytest.approx(0.1)
    assert severity([Damage(rms=1.0), Damage(clipped=0.25, rms=1.0)], 1.0) == 0.5


def test_the_worst_comes_first_and_all_is_escaped():
    rows = [Row("good.wav", "p/good.wav.html", 1.0, 0.0, []),
            Row("<b>&.wav", "p/<b>&?#.wav.html", 2.0, 0.9, ["clipped <i>"], ["hum of 50 Hz"]),
            Row("hum.wav", "p/hum.wav.html", 1.0, 0.0, ["hum of 50 Hz"]),
            Row("bad.wav", "p/bad.wav.html", 1.0, 0.4, ["noise"])]
    page = Page(table("a <script>alert(1)</script> & b", rows))
    assert [text for _, text in page.all("a")] == ["<b>&.wav", "bad.wav", "hum.wav", "good.wav"]
    assert page.all("a")[0][0]["href"] == "p/%3Cb%3E%26%3F%23.wav.html"
    assert not page.all("script") and not page.all("b") and not page.all("i")
    assert page.all("title")[0][1] == page.all("h1")[0][1] == "a <script>alert(1)</script> & b"
    cells = [text for told, text in page.all("td") if told["data-label"] == "Found in the result"]
    assert cells == ["hum of 50 Hz", "", "", ""]
    assert "Found in the result" not in table("none was made", rows[2:])
    assert Page(table("empty", [])).all("h1")
