"""The distribution of voices: exact where a Gaussian is, learnt where it is not, steered."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.voices import people
from voxmend import samplers
from voxmend.diffusion.denoiser import EDMDenoiser
from voxmend.diffusion.schedules import betas_to_sigmas
from voxmend.models import hub
from voxmend.models.macs import cost, macs_per_call
from voxmend.networks.speakemb import SpeakEMB
from voxmend.speakers import encoders
from voxmend.speakers import voices as speakers
from voxmend.speakers.figures import SexProbe, steering
from voxmend.speakers.space import VoiceSpace


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """A network as wide as two to twelve dimensions need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(speakers.NETWORKS, "voxmend", "helpers.voices:NarrowMLP")
        yield


@pytest.fixture(scope="module")
def originals():
    return people(200, 3)


@pytest.fixture(scope="module")
def untrained(originals):
    return speakers.train(originals, steps=100, iterations=1, progress=False)


def test_space_has_the_moments_of_equally_many_recordings_of_each(originals):
    """Numpy's on a set in which speakers are repeated until all have as many recordings."""
    rows = np.r_[np.arange(0, 6), [0, 1, 2], 6]  # of the third speaker there is one recording
    some = originals.take(np.r_[np.arange(0, 6), 6])
    balanced = originals.vectors[np.r_[np.arange(0, 6), 6, 6, 6]].astype(np.float64)
    assert len(rows) == 10 and len(set(some.speakers)) == 3
    space = VoiceSpace.of(some)
    np.testing.assert_allclose(space.mean, balanced.mean(0), rtol=1e-5)
    np.testing.assert_allclose(space.scale, balanced.std(0), rtol=1e-5)
    correlation = np.corrcoef(balanced, rowvar=False)
    found = (space.axes * space.variances) @ space.axes.T
    np.testing.assert_allclose(found, correlation, atol=2e-5)
    assert (space.variances.diff() <= 0).all() and space.variances.sum() == pytest.approx(12)


def test_components_and_back(originals):
    space = VoiceSpace.of(originals)
    z = space.components(originals.vectors)
    np.testing.assert_allclose(space.compose(z), originals.vectors, atol=1e-4)
    np.testing.assert_allclose(z.T @ z / len(z), np.diag(space.variances), atol=1e-3)


def test_denoiser_before_training_is_the_gaussian_posterior(originals, untrained):
    """E[x | y] = Σ (Σ + σ²)⁻¹ y, Σ from numpy, in standardised coordinates."""
    space, sigma = untrained.space, 0.7
    x = space.standardise(originals.vectors[:5])
    y = (x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).double()
    covariance = torch.from_numpy(np.corrcoef(originals.vectors.T.astype(np.float64)))
    expected = y @ torch.linalg.solve(covariance + sigma**2 * torch.eye(12), covariance)
    denoiser = EDMDenoiser(lambda z, level: torch.zeros_like(z),
                           sigma_data=space.variances.sqrt())
    found = denoiser((y.float() @ space.axes)[:, None], sigma)[:, 0] @ space.axes.T
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("schedule", ["linear", "quadratic", "sigmoid", "cosine"])
def test_gaussian_is_drawn_whatever_the_schedule_leaves(originals, schedule):
    """At 100 steps up to 0.7 of the variance is left, so a start from noise alone would fail.

    DDPM's own bias in few steps takes some of the smallest variances.
    """
    model = speakers.train(originals, schedule=schedule, steps=100, iterations=1, progress=False)
    z = model.space.components(model.draw(1500, seed=1))
    ratio = z.var(0) / model.space.variances
    assert (ratio[:6] - 1).abs().max() < 0.15 and (ratio - 1).abs().max() < 0.3
    assert (z.mean(0) / model.space.variances.sqrt()).abs().max() < 0.07


def test_share_of_the_signal_left_at_the_end(originals):
    """ᾱ_T of the reference: .081 and .178 at T = 500 for linear and quadratic."""
    for schedule, left in (("linear", 0.081), ("quadratic", 0.178), ("sigmoid", 0.081),
                           ("cosine", 0.0)):
        model = speakers.train(originals, "speakemb", schedule, 500, iterations=1, progress=False)
        assert model.left == pytest.approx(left, abs=0.001)


def test_cost_of_the_papers_network():
    """Two conditioned layers and one more, no convolution: a multiplication for every weight."""
    with torch.device("meta"):
        network = SpeakEMB(704, 128)
    assert macs_per_call(network, 704) == 2 * 704 * 128 + 128**2 + 2 * 64 * 128
    assert "MMAC per embedding" in cost("SpeakEMB", {"dim": 64, "width": 8})


def test_the_papers_network_predicts_the_noise(originals):
    """What the loss sees, (x_σ − D)/σ, is ε_θ at x_t = x_σ/√(1 + σ²)."""
    model = speakers.train(originals, "speakemb", "linear", 50, iterations=30, progress=False)
    step = 30
    sigma = betas_to_sigmas(model.betas)[step].float()
    x = torch.randn(4, 1, 12, generator=torch.Generator().manual_seed(0))
    epsilon = model.network(x / (1 + sigma**2).sqrt(), (sigma.log() / 4).expand(4))
    torch.testing.assert_close((x - model.denoiser(x, sigma)) / sigma, epsilon, atol=1e-4, rtol=0)
    assert epsilon.abs().max() > 1e-3


@pytest.mark.parametrize("method, loss", [("voxmend", "l1"), ("voxmend", "l2"),
                                          ("speakemb", "l2")])
def test_two_clusters_are_learnt(method, loss):
    """A Gaussian would put a third of its voices where the originals have none."""
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(-3, 0.5, (300, 2)), rng.normal(3, 0.5, (300, 2))])
    some = replace(people(600, 1, 2), vectors=vectors.astype(np.float32))
    model = speakers.train(some, method, steps=60, loss=loss, iterations=800, progress=False)
    drawn = model.draw(500, seed=1)
    assert (np.abs(drawn.sum(1)) < 3).mean() < 0.08
    assert 0.35 < (drawn.sum(1) > 0).mean() < 0.65
    curve = model.card["loss_curve"]
    assert np.mean(curve[-5:]) < 0.8 * np.mean(curve[:5]) and len(curve) == 50


def test_same_seed_same_voices(originals):
    make = lambda: speakers.train(originals, iterations=20, steps=20, seed=3,  # noqa: E731
                                  progress=False)
    one, two = make(), make()
    assert np.array_equal(one.draw(5, 4), two.draw(5, 4))
    assert not np.array_equal(one.draw(5, 4), one.draw(5, 5))
    assert len(np.unique(one.draw(300, 0), axis=0)) == 300


def test_samplers_agree_on_a_gaussian(untrained):
    """The probability-flow ODE maps the start to the data by a matrix: variances are λ, too."""
    z = untrained.space.components(untrained.draw(1000, sampler=samplers.heun))
    assert (z.var(0) / untrained.space.variances - 1).abs().max() < 0.15


def test_parts_of_one_length_keep_it():
    some = people(200, 2, parts=(4, 8), unit=True)
    model = speakers.train(some, iterations=5, steps=50, progress=False)
    first, second = np.split(model.draw(50), [4], axis=1)
    for part in (first, second):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, rtol=1e-5)
    stretched = replace(some, vectors=some.vectors * np.r_[[2] * 4, np.ones(8)].astype("f"))
    assert VoiceSpace.of(stretched).lengths.tolist() == pytest.approx([2, 1], rel=1e-5)
    uneven = replace(some, vectors=some.vectors * np.linspace(1, 2, 400, dtype="f")[:, None])
    assert VoiceSpace.of(uneven).lengths.tolist() == [0, 0]


def test_a_model_on_disk_draws_the_same(untrained, tmp_path):
    path = tmp_path / "m.safetensors"
    speakers.save(untrained, path)
    loaded = speakers.load(path)
    assert loaded.card == untrained.card
    # axes and network are stored in half precision
    np.testing.assert_allclose(loaded.draw(20), untrained.draw(20), atol=0.02)
    assert speakers.generate(loaded, 3).names == ("voice0001", "voice0002", "voice0003")


def test_the_bundled_model_fits_the_bundled_encoders():
    model, encoder = speakers.load(), encoders.load_encoder(encoders.PRESETS[704], "cpu")
    assert model.card["encoder"] == encoder.hash and model.space.parts == (192, 512)
    voices = speakers.generate(model, 20).vectors
    assert len(np.unique(voices, axis=0)) == 20
    for part in np.split(voices, [192], axis=1):  # as the encoder gives them
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, rtol=1e-4)
    cosines = voices @ voices.T / 2
    assert np.abs(cosines[np.triu_indices(20, 1)]).max() < 0.9  # no voice twice


def test_other_weights_are_refused(untrained, prior, tmp_path):
    with pytest.raises(hub.PriorError, match="no model of voices"):
        speakers.load(prior)
    path = tmp_path / "m.safetensors"
    speakers.save(untrained, path)
    with pytest.raises(hub.PriorError, match="m.safetensors: a model of voices, not a prior"):
        hub.load_prior(str(path))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(hub.PriorError, match="damaged"):
        speakers.load(path)


@pytest.mark.parametrize("unit", [False, True])
def test_steering_rotates(unit):
    """Lengths stay, and v' lies in the plane of v and the axis."""
    some = people(300, 1, parts=(4, 8), unit=unit)
    space = VoiceSpace.of(some)
    for axis in ("1", "12", "sex"):
        turned = space.steer(some.vectors, axis, 1.5)
        step = (space.steer(some.vectors * 1e6, axis, 1e6) / 1e6 - some.vectors)[:1]
        assert not np.allclose(step, 0)
        for part in (slice(0, 4), slice(4, 12)):
            before, after = some.vectors[:, part], turned[:, part]
            np.testing.assert_allclose(np.linalg.norm(before, axis=1),
                                       np.linalg.norm(after, axis=1), rtol=1e-4)
    np.testing.assert_allclose(space.steer(some.vectors, "1", 0.0), some.vectors, rtol=1e-5)


def test_steering_goes_along_the_axis_alone():
    """Of long embeddings a short step is no turn: the place changes by the amount, on one axis."""
    some = people(300, 1)
    far = replace(some, vectors=some.vectors + 1e4)
    space = VoiceSpace.of(far)
    change = [space.positions(space.steer(far.vectors, "2", 2.0), str(k))
              - space.positions(far.vectors, str(k)) for k in range(1, 13)]
    # the step has a share along v itself, which the rotation takes away
    assert np.mean(change[1]) > 1 and np.std(change[1]) < 0.05


def test_axis_of_sex_is_that_of_the_means(originals):
    """Women stand at its positive end, and a probe that never saw it agrees, step by step."""
    space = VoiceSpace.of(originals)
    women = np.array(originals.sexes) == "F"
    places = space.positions(originals.vectors, "sex")
    assert places[women].mean() > 0.5 and places[~women].mean() < -0.5
    gap = places[women].mean() - places[~women].mean()
    assert gap == pytest.approx(space.sex_shift.norm().item(), rel=0.05)
    course = steering(originals.vectors, space, SexProbe(originals, space), ("sex",))["sex"]
    assert np.all(np.diff([row["probability"] for row in course]) > 0)
    assert np.all(np.diff([row["women"] for row in course]) >= 0)
    assert course[0]["women"] < 0.1 and course[-1]["women"] > 0.9


def test_no_axis_of_sex_without_labels_or_difference(originals):
    unknown = replace(originals, sexes=())
    by_chance = replace(originals, sexes=tuple(np.random.default_rng(0).permutation(
        np.repeat(["F", "M"], 100)).repeat(3).tolist()))
    for some in (unknown, by_chance):
        space = VoiceSpace.of(some)
        assert not space.sex_shift.any()
        with pytest.raises(ValueError, match="--axis sex"):
            space.steer(some.vectors, "sex", 1.0)
    for axis in ("0", "13", "-1", "age"):
        with pytest.raises(ValueError, match=f"--axis {axis}: give sex or a number from 1 to 12"):
            VoiceSpace.of(originals).direction(axis)


@pytest.mark.parametrize("amount", [np.nan, np.inf])
def test_steering_takes_a_finite_amount(originals, amount):
    with pytest.raises(ValueError, match="--amount"):
        VoiceSpace.of(originals).steer(originals.vectors, "1", amount)
