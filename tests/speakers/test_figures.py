"""Figures on drawn voices against closed forms and scikit-learn, and the page that shows them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import pairwise_distances

from helpers.voices import people
from voxmend.metrics.frechet import frechet_distance
from voxmend.metrics.neighbours import (
    copy_ratio,
    neighbour_distances,
    precision_recall,
    spread_ratio,
)
from voxmend.metrics.two_sample import two_sample_accuracy
from voxmend.speakers import figures as module
from voxmend.speakers import page
from voxmend.speakers.figures import Judge, Yardsticks, figures, moments, one_each
from voxmend.speakers.space import VoiceSpace


def test_frechet_with_weights_is_that_of_repeated_rows():
    """Up to Bessel's factor, which differs: Σ of repeated rows is that of n rows."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 3)), rng.normal(1, 2, size=(4, 3))
    repeats = np.array([1, 2, 3, 4])
    weights = repeats / repeats.sum()
    repeated = np.repeat(b, repeats, axis=0)
    scaled = repeated.mean(0) + (repeated - repeated.mean(0)) * np.sqrt(
        0.9 / (1 - (weights**2).sum()))
    assert frechet_distance(a, b, weights) == pytest.approx(frechet_distance(a, scaled), rel=1e-9)
    assert frechet_distance(a, b, np.full(4, 0.25)) == pytest.approx(frechet_distance(a, b))


def test_neighbours_on_a_line():
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert neighbour_distances(line).tolist() == [1, 1, 2, 4]
    assert neighbour_distances(line, k=2).tolist() == [3, 2, 3, 6]
    assert neighbour_distances(np.array([[2.5]]), line, 2).tolist() == [1.5]
    for points in (None, line[:3]):
        with pytest.raises(ValueError, match="number 4 of 3"):
            neighbour_distances(line, points, 4)


def test_precision_and_recall_of_part_of_the_modes():
    """Voices of one of two clusters are all real, and cover half of the real people."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(0, 1, (200, 2)), rng.normal(50, 1, (200, 2))
    real, drawn = np.concatenate([left, right]), rng.normal(0, 1, (400, 2))
    precision, recall = precision_recall(drawn, real)
    assert precision > 0.9 and 0.45 < recall <= 0.5
    assert precision_recall(real, drawn) == (recall, precision)
    assert precision_recall(real + 1000, real) == (0, 0)


def test_precision_as_its_definition_says():
    rng = np.random.default_rng(1)
    drawn, real = rng.normal(size=(40, 3)), rng.normal(0.5, 1, size=(40, 3))
    radii = np.sort(pairwise_distances(real), axis=1)[:, 3]  # column 0 is the point itself
    inside = [any(np.linalg.norm(v - r) <= radius for r, radius in zip(real, radii))
              for v in drawn]
    assert precision_recall(drawn, real)[0] == np.mean(inside)


def test_ratios_tell_copies_and_repetitions():
    rng = np.random.default_rng(0)
    training, held_out, drawn = (rng.normal(size=(400, 5)) for _ in range(3))
    assert copy_ratio(training[:100], training, held_out) == 0
    assert copy_ratio(drawn, training, held_out) == pytest.approx(1, abs=0.1)
    assert copy_ratio(drawn, training) == pytest.approx(1, abs=0.1)
    assert spread_ratio(np.repeat(drawn[:200], 2, axis=0), held_out) == 0
    assert spread_ratio(drawn, held_out) == pytest.approx(1, abs=0.1)
    assert spread_ratio(2 * drawn, held_out) == pytest.approx(2, abs=0.2)


def test_two_sample_test_of_equal_and_other_distributions():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 200, 4))
    assert 0.4 < two_sample_accuracy(one, two) < 0.6
    assert two_sample_accuracy(one + 10, two) == 1
    assert two_sample_accuracy(3 * one, two) > 0.8  # no plane tells these apart


def test_moments_in_units_of_the_originals():
    some = people(500, 1)
    space = VoiceSpace.of(some)
    shifted = (some.vectors - some.vectors.mean(0)) * 1.1 + some.vectors.mean(0)
    found = moments(shifted + 0.5 * some.vectors.std(0), space)
    assert found["mean_difference"] == pytest.approx(0.5, abs=1e-3) == found["mean_signed"]
    for name in ("variance_difference", "variance_difference_largest", "variance_signed"):
        assert found[name] == pytest.approx(0.21, abs=1e-3)


def test_one_of_each_speaker():
    some = people(20, 3)
    chosen = one_each(some, np.random.default_rng(0))
    rows = [int(np.flatnonzero((some.vectors == v).all(1))[0]) for v in chosen]
    assert sorted(some.speakers[row] for row in rows) == sorted(set(some.speakers))


def test_yardsticks_have_the_originals_moments():
    some = people(400, 2)
    space = VoiceSpace.of(some)
    yardsticks = Yardsticks(some, space)
    expected = EmpiricalCovariance().fit(some.vectors)
    for vectors in (yardsticks.gaussian(20000), yardsticks.mixed(20000)):
        np.testing.assert_allclose(vectors.mean(0), expected.location_, atol=0.2)
        np.testing.assert_allclose(np.cov(vectors.T), expected.covariance_, atol=0.9)


def test_mixture_has_as_many_components_as_speak_for_it():
    apart = people(400, 2, apart=12.0)
    assert Yardsticks(apart, VoiceSpace.of(apart)).components >= 2
    alike = people(400, 2, apart=0.0)
    yardsticks = Yardsticks(alike, VoiceSpace.of(alike))
    assert yardsticks.components == 1 and max(yardsticks.log_likelihoods.values()) == 0


def test_copies_of_the_originals_are_told():
    originals, held_out = people(100, 2), people(60, 1, seed=1)
    judge = Judge(originals, VoiceSpace.of(originals), held_out)
    copies, strangers = judge(originals.vectors), judge(people(200, 1, seed=2).vectors)
    assert copies["copy_ratio"] == 0 and strangers["copy_ratio"] == pytest.approx(1, abs=0.15)
    assert strangers["women"] == pytest.approx(0.5, abs=0.05)
    assert 0.35 < strangers["two_sample"] < 0.65 and strangers["precision"] > 0.7
    with pytest.raises(ValueError, match="9 speakers say too little"):
        Judge(originals, VoiceSpace.of(originals), people(9, 3))


@pytest.mark.parametrize("held_out", [None, people(40, 1, seed=1)])
def test_page(held_out, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SUBSETS", 2)
    originals, drawn = people(60, 3), people(50, 1, seed=2)
    drawn = replace(drawn, names=tuple("<&>" + n for n in drawn.names))
    result = page.write(tmp_path, originals, drawn, held_out, [3.0, 2.0, 1.0])
    text = (tmp_path / "index.html").read_text()
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(result))
    assert text.count("data:image/png;base64,iVBOR") == 3 and "http" not in text
    names = [row["method"] for row in result["rows"]]
    assert names[:1] == (["originals"] if held_out else ["drawn"]) and "one Gaussian" in names
    assert result["distinct"] == 50 and "50 of 50 drawn voices are distinct" in text
    for line in page.summary(result):
        assert line.split(":")[0].split("'")[0] in text
    assert set(result["steering"]) == {"sex", "1", "2", "3"}
    again = figures(originals, drawn, held_out)
    assert again == result
