"""Contracts of every operator, guidance and sampler, on priors whose posterior is exact."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from helpers.gaussian import GaussianPrior, ListeningPrior, WhitePrior, matrix, posterior
from voxmend import guidance as G
from voxmend import operators as O
from voxmend.diffusion.samplers import SAMPLERS
from voxmend.diffusion.schedules import geometric_grid
from voxmend.diffusion.told import GuessDenoiser

LENGTH = 12
PRESENT = torch.ones(LENGTH).index_fill(0, torch.tensor([0, 5, 6, 7]), 0)

OPERATORS = {
    "clip": O.Clip(0.6),
    "gap": O.Gap(PRESENT),
    "lowpass": O.Lowpass(4000.0),
    "highpass": O.Highpass(4000.0, width=4000.0),
    "mixture": O.Mixture(2),
    "noise": O.WhiteNoise(0.4),
    "quantise": O.Quantise(0.5),
    "noise@lowpass": O.WhiteNoise(0.3) @ O.Lowpass(4000.0, width=4000.0),
    "gap@noise": O.Gap(PRESENT) @ O.WhiteNoise(0.3),
    "gap@clip@lowpass": O.Gap(PRESENT.repeat(100)) @ O.Clip(0.6) @ O.Lowpass(6000.0),
    "mel": O.Mel(),
}


class Squared(O.Operator):
    """An operator of one's own that declares nothing."""

    def forward(self, x):
        return x.square()


UNPROJECTED = {"squared": Squared(), "squared@gap": Squared() @ O.Gap(PRESENT),
               "gap@squared": O.Gap(PRESENT) @ Squared()}
NONLINEAR = {"clip", "quantise", "gap@clip@lowpass", "mel"}
SENSELESS = (
    {(guidance, name) for guidance in ("mixture", "told") for name in OPERATORS
     if name != "mixture"}
    | {("noisy", name) for name in OPERATORS if name != "noise"}
    | {(guidance, name) for guidance in ("proximal", "pigdm") for name in NONLINEAR})
# Under a white Gaussian prior these give the exact posterior mean at every noise level.
EXACT = (
    {(g, o) for g in ("proximal", "pigdm")
     for o in OPERATORS.keys() - NONLINEAR - {"lowpass", "highpass"}}
    | {("imputation", o) for o in ("gap", "mixture", "noise")} | {("noisy", "noise")}
    | {("told", "mixture")})
PAIRS = [(g, o) for g in G.GUIDANCES for o in OPERATORS if g != "unguided"]


def channels(name):
    return 2 if name == "mixture" else 1


def length(name):
    return {"mel": 2048, "gap@clip@lowpass": 100 * LENGTH}.get(name, LENGTH)


def prior_for(guidance):
    """White, and one that listens where it is to be told."""
    return ListeningPrior(torch.eye(LENGTH).double()) if guidance == "told" else WhitePrior()


def observe(name, batch, seed=0, dtype=torch.float64, samples=None):
    """A signal of the white prior and its observation."""
    rng = torch.Generator().manual_seed(seed)
    shape = batch, channels(name), samples or length(name)
    x = torch.randn(shape, generator=rng, dtype=dtype)
    y = OPERATORS[name](x)
    noise = OPERATORS[name].noise_std * torch.randn(y.shape, generator=rng, dtype=dtype)
    return x, y + (OPERATORS[name].outer(noise) if name == "gap@noise" else noise)


def seeded(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return lambda like: torch.randn(like.shape, generator=rng, dtype=like.dtype)


def sample(guidance, name, sampler, y, x_shape, steps, prior, seed=100):
    noise, sigmas = seeded(seed), geometric_grid(steps, 20.0, 0.02)
    denoise = G.GUIDANCES[guidance]()(prior, OPERATORS[name], y)
    start = sigmas[0] * noise(torch.empty(x_shape, dtype=y.dtype))
    return SAMPLERS[sampler](denoise, start, sigmas, noise)


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_keeps_type_and_batch_items_apart(name):
    operator = OPERATORS[name]
    for dtype in (torch.float32, torch.float64):
        x, y = observe(name, 3, dtype=dtype)
        assert operator(x).dtype == dtype
        alone = operator(x[1:2])
        torch.testing.assert_close(operator(x)[1:2], alone)
        torch.testing.assert_close(operator.project(x, y)[1:2], operator.project(x[1:2], y[1:2]))
    assert operator.start(y).shape == x.shape


def test_every_operator_is_under_contract():
    tried = {type(operator).__name__ for operator in OPERATORS.values()}
    assert tried == set(O.__all__) - {"Operator", "Evidence", "Each"}


@pytest.mark.parametrize("name, value, make", [
    (name, value, make) for make, name, values in [
        (O.Clip, "level", (0, math.nan, math.inf, "a")),
        (partial(O.Clip, 0.3), "tolerance", (-1, 1, math.nan, "a")),
        (partial(O.Clip, 0.3), "offset", (math.nan, -math.inf)),
        (partial(O.Clip, 0.3), "side", (3, None)),
        (partial(O.Clip, 0.3), "span", ((5, 2), (5,), (-3, 2), ())),
        (partial(O.Clip, 0.3), "sample_rate", (0, math.nan)),
        (partial(O.Gap, PRESENT), "sample_rate", (0, -1)),
        (O.Lowpass, "cutoff", (0, 8000, math.nan, "a")),
        (partial(O.Lowpass, 4000), "width", (0, -100, math.nan)),
        (partial(O.Highpass, 4000), "width", (0,)), (partial(O.Lowpass, 40), "sample_rate", (0,)),
        (O.Mixture, "sources", (0, -1, 2.5)), (O.WhiteNoise, "std", (0, math.nan, math.inf)),
        (O.Quantise, "step", (0, math.nan, math.inf)), (O.Each, "operators", ([],)),
        (O.Mel, "length", (0, 2.5)), (O.Mel, "iterations", (-1, 0.5))] for value in values])
def test_an_argument_that_cannot_be_is_named(name, value, make):
    with pytest.raises(ValueError, match=f"^{name}=.*: give "):
        make(**{name: value})


def test_a_level_may_be_a_number_of_any_kind():
    for level in (1, np.float32(1), torch.tensor(1.0)):
        assert O.Clip(level, span=[0, 3])(torch.full((1, 1, 3), 2.0)).max() == 1


@pytest.mark.parametrize("name", OPERATORS | UNPROJECTED)
def test_evidence_explains_the_observation(name):
    """Its guess has what is known of the signal, and only what is unknown is marked."""
    operator = (OPERATORS | UNPROJECTED)[name]
    rng = torch.Generator().manual_seed(1)
    length_ = 4096 if "pass" in name and "@" not in name else length(name)
    x = torch.randn(2, channels(name), length_, generator=rng)
    y = operator(x)
    evidence = operator.evidence(y)
    if not set(name.split("@")) <= {"clip", "gap", "mel", "lowpass", "highpass"}:
        assert evidence is None  # noise, and what is not known here
        return
    guess, marks = evidence.guess, evidence.marks
    assert guess.shape == x.shape and marks.shape == (2, channels(name), 2, length_)
    assert set(marks.unique().tolist()) <= {-1.0, 0.0, 1.0}
    known = (marks == 0).all(2)
    assert known.all() == (name in ("lowpass", "highpass"))
    if name != "mel":
        torch.testing.assert_close(guess[known], y[known])
    told = operator.evidence(y, x)  # a guess from elsewhere is taken
    if "lowpass" not in name:
        torch.testing.assert_close(told.guess, x, atol=1e-2, rtol=0)
        assert torch.equal(told.marks, marks)


@pytest.mark.parametrize("name", OPERATORS | UNPROJECTED)
def test_declared_capabilities_are_true(name):
    """And those that are not declared are not there."""
    operator = (OPERATORS | UNPROJECTED)[name]
    rng = torch.Generator().manual_seed(1)
    shape = 2, channels(name), 4096 if "lowpass" in name else length(name)
    if name == "gap@clip@lowpass":
        shape = 2, 1, length(name)
    x, other = torch.randn((2, *shape), generator=rng, dtype=torch.float64)
    y, sum_ = operator(x), x.sum(1, keepdim=True)

    def equal(a, b):
        return a.shape == b.shape and torch.allclose(a, b)

    assert operator.linear == equal(operator(2 * x - other), 2 * y - operator(other))
    assert operator.identity == (equal(y, x) and operator.noise_std > 0)
    assert operator.sums_sources == (equal(y, sum_) and channels(name) > 1)
    if operator.projects:
        left = (operator(operator.project(other, y)) - y).norm()
        assert left < 0.3 * (operator(other) - y).norm()
    else:
        with pytest.raises(NotImplementedError, match="Squared has no projection"):
            operator.project(other, y)


@pytest.mark.parametrize("name", UNPROJECTED)
def test_guidance_asks_before_it_projects(name):
    operator, prior = UNPROJECTED[name], WhitePrior()
    rng = torch.Generator().manual_seed(2)
    x, start = torch.randn(2, 1, 1, LENGTH, generator=rng, dtype=torch.float64)
    y = operator(x)
    with pytest.raises(G.GuidanceError, match=r"projection, which .* lacks .`projects`."):
        G.Imputation()(prior, operator, y)
    moved = G.Reconstruction(xi=0.01)(prior, operator, y)(start, 0.1)
    assert operator.residual(moved, y).norm() < operator.residual(prior(start, 0.1), y).norm()


@pytest.mark.parametrize("name, unguessed", [("clip", 0.0), ("gap", 0.0), ("noise", 1.0),
                                             ("gap@noise", 1.0), ("lowpass", 0.5),
                                             ("gap@clip@lowpass", 0.25)])
def test_blank_is_the_noise_where_the_start_makes_no_guess(name, unguessed):
    """Its share of the energy: none where gaps are filled, the lost share of the band."""
    noise = torch.randn(2, 1, 100 * LENGTH, generator=torch.Generator().manual_seed(0))
    share = OPERATORS[name].blank(noise).square().mean() / noise.square().mean()
    assert share == pytest.approx(unguessed, abs=0.04)


@pytest.mark.parametrize("name", [n for n in OPERATORS if n not in NONLINEAR])
def test_adjoint(name):
    operator = OPERATORS[name]
    x, _ = observe(name, 2, seed=1)
    r = torch.randn_like(operator(x))
    left, right = (operator(x) * r).sum(), (x * operator.adjoint(r, x)).sum()
    torch.testing.assert_close(left, right)


@pytest.mark.parametrize("name", sorted(NONLINEAR))
def test_nonlinear_operators_have_no_adjoint(name):
    x, y = observe(name, 1)
    with pytest.raises(TypeError, match="not linear"):
        OPERATORS[name].adjoint(y, x)


@pytest.mark.parametrize("name, tolerance", [
    ("clip", 1e-9), ("gap", 1e-9), ("mixture", 1e-9), ("quantise", 1e-9), ("lowpass", 0.05),
    ("mel", 0.25)])
def test_projection_explains_the_observation(name, tolerance):
    operator = OPERATORS[name]
    x, y = observe(name, 2, seed=2, samples=4096 if name == "lowpass" else None)
    guess = x + 0.5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    projected = operator.project(guess, y)
    residual = operator.residual(projected, y).norm() / y.norm()
    assert residual <= tolerance
    assert residual < 0.5 * (y - operator(guess)).norm() / y.norm()
    assert (operator.project(x, y) - x).norm() <= tolerance * x.norm()


@pytest.mark.parametrize("bits", [3, 8, 16])
def test_what_is_moved_into_cells_is_rounded_to_the_same(bits):
    """In float32, too, in whose steps the edges of small cells lie."""
    rng, quantise = torch.Generator().manual_seed(4), O.Quantise(2.0 ** (1 - bits))
    x = 1.6 * torch.rand(2, 1, 20_000, generator=rng) - 0.8
    guess = x + 2 * quantise.step * torch.randn(x.shape, generator=rng)
    assert torch.equal(quantise(quantise.project(guess, quantise(x))), quantise(x))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guidance, name", sorted(p for p in PAIRS if p not in SENSELESS))
def test_every_sensible_combination(guidance, name, sampler):
    """Runs, is finite and reproducible, keeps batch items apart, and nears what it is told."""
    prior = prior_for(guidance)
    x, y = observe(name, 3, samples=100 * LENGTH if "lowpass" in name else None)
    draw = sample(guidance, name, sampler, y, x.shape, 12, prior)
    assert draw.shape == x.shape and draw.isfinite().all()
    torch.testing.assert_close(draw, sample(guidance, name, sampler, y, x.shape, 12, prior))
    louder = torch.cat([y[:1], 30 * y[1:]])
    same = sample(guidance, name, sampler, louder, x.shape, 12, prior)
    torch.testing.assert_close(same[:1], draw[:1])
    unguided = sample("unguided", name, sampler, y, x.shape, 12, prior)
    operator = OPERATORS[name]
    assert operator.residual(draw, y).norm() < operator.residual(unguided, y).norm()


@pytest.mark.parametrize("guidance, name", sorted(SENSELESS))
def test_senseless_pairs_say_so(guidance, name):
    _, y = observe(name, 1)
    with pytest.raises(G.GuidanceError):
        G.GUIDANCES[guidance]()(WhitePrior(), OPERATORS[name], y)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guidance, name", sorted(EXACT))
def test_samples_follow_the_exact_posterior(guidance, name, sampler):
    draws, size = 2000, channels(name) * LENGTH
    _, y = observe(name, 1, seed=4)
    prior = prior_for(guidance)
    shape = (draws, channels(name), LENGTH)
    x = sample(guidance, name, sampler, y.expand(draws, -1, -1), shape, 60, prior).flatten(1)
    a = matrix(OPERATORS[name], channels(name), LENGTH)
    noise = OPERATORS[name].noise_std
    if name == "gap@noise":  # only present samples are observed
        seen = PRESENT.bool()
        a, y = a[seen], y[..., seen]
    mean, covariance = posterior(torch.eye(size, dtype=torch.float64), a, y.flatten(), noise)
    assert (x.mean(0) - mean).abs().max() < 0.1
    difference = torch.cov(x.T) - covariance
    assert torch.linalg.matrix_norm(difference) < 0.15 * torch.linalg.matrix_norm(covariance) + 0.02


def test_noise_that_is_coloured_afterwards_has_no_exact_guidance():
    """The posterior of y = A(x + n) is not that of y = A(x) + n."""
    inside, y = O.Lowpass(4000.0, width=4000.0) @ O.WhiteNoise(0.3), torch.ones(1, 1, LENGTH)
    for name in ("proximal", "pigdm"):
        with pytest.raises(G.GuidanceError, match="linear"):
            G.GUIDANCES[name]()(WhitePrior(), inside, y)
    assert (O.WhiteNoise(0.3) @ O.Lowpass(4000.0)).linear
    assert (O.Gap(PRESENT) @ O.WhiteNoise(0.3)).linear
    assert (O.Gap(PRESENT) @ O.WhiteNoise(0.4) @ O.WhiteNoise(0.3)).linear


@pytest.mark.parametrize("guidance", ["proximal", "pigdm"])
@pytest.mark.parametrize("name", sorted(o for g, o in EXACT if g == "pigdm"))
def test_linear_guidance_explains_more_of_y_under_a_coloured_prior(guidance, name):
    """At every noise level, though the prior varies 100 times as much as r² says along one axis."""
    prior, operator = GaussianPrior.correlated(LENGTH, 0.999), OPERATORS[name]
    _, y = observe(name, 3)
    rng = torch.Generator().manual_seed(9)
    x = torch.randn(3, channels(name), LENGTH, generator=rng, dtype=torch.float64)
    for sigma in (0.1, 1.0, 3.0, 10.0):
        alone = (operator(prior(sigma * x, sigma)) - y).flatten(1).norm(dim=1)
        guided = G.GUIDANCES[guidance]()(prior, operator, y)(sigma * x, torch.tensor(sigma))
        assert ((operator(guided) - y).flatten(1).norm(dim=1) < alone).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_noisy_observation_is_exact_under_a_correlated_prior(sampler):
    prior = GaussianPrior.correlated(LENGTH)
    _, y = observe("noise", 1, seed=5)
    shape = (3000, 1, LENGTH)
    x = sample("noisy", "noise", sampler, y.expand(shape), shape, 60, prior).flatten(1)
    eye = torch.eye(LENGTH, dtype=torch.float64)
    mean, covariance = posterior(prior.covariance, eye, y.flatten(), OPERATORS["noise"].noise_std)
    assert (x.mean(0) - mean).abs().max() < 0.1
    assert torch.linalg.matrix_norm(torch.cov(x.T) - covariance) < 0.15 * covariance.norm()


def test_mixture_likelihood_is_exact_for_a_wide_prior():
    """E[x | x_σ, y] of two wide sources whose sum is known, in closed form."""
    wide, sigma = 300.0, 1.0
    rng = torch.Generator().manual_seed(6)
    sources = wide * torch.randn(1, 2, LENGTH, generator=rng, dtype=torch.float64)
    y = sources.sum(1, keepdim=True)
    noisy = sources + sigma * torch.randn(sources.shape, generator=rng, dtype=torch.float64)
    operator = O.Mixture(2)
    given = G.MixtureLikelihood()(WhitePrior(wide), operator, y)(noisy, sigma)
    size = 2 * LENGTH
    looks = torch.cat([torch.eye(size, dtype=torch.float64) / sigma,
                       1e4 * matrix(operator, 2, LENGTH)])
    values = torch.cat([noisy.flatten() / sigma, 1e4 * y.flatten()])
    exact, _ = posterior(wide**2 * torch.eye(size, dtype=torch.float64), looks, values, 1.0)
    torch.testing.assert_close(given.flatten(), exact, rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 10.0])
def test_a_told_mixture_is_exact_under_a_correlated_prior(sigma):
    """E[x | x_σ, y] of two sources, in closed form."""
    prior, operator = ListeningPrior.correlated(LENGTH), O.Mixture(2)
    rng = torch.Generator().manual_seed(8)
    y = torch.randn(1, 1, LENGTH, generator=rng, dtype=torch.float64)
    noisy = sigma * torch.randn(1, 2, LENGTH, generator=rng, dtype=torch.float64)
    given = G.ToldMixture()(prior, operator, y)(noisy, torch.tensor(sigma))
    looks = torch.cat([torch.eye(2 * LENGTH, dtype=torch.float64) / sigma,
                       1e4 * matrix(operator, 2, LENGTH)])
    values = torch.cat([noisy.flatten() / sigma, 1e4 * y.flatten()])
    covariance = torch.block_diag(prior.covariance, prior.covariance)
    exact, _ = posterior(covariance, looks, values, 1.0)
    torch.testing.assert_close(given.flatten(), exact, rtol=1e-4, atol=1e-5)


def test_a_first_guess_is_the_mixture_less_the_other_s_estimate():
    """Of a network that says nothing the guess, weighed by what is known of it."""
    sigma, operator = 0.2, O.Mixture(2)
    prior = GuessDenoiser(lambda x, *told: torch.zeros_like(x[:, :1]))
    x, y = torch.randn(2, 2, 50), torch.randn(2, 1, 50)
    kept = 0.1**2 / (0.1**2 + sigma**2)
    alone = torch.stack([kept * x[:, k] + (1 - kept) * (y[:, 0] - kept * x[:, 1 - k])
                         for k in range(2)], 1)
    given = G.ToldMixture()(prior, operator, y)(x, torch.tensor(sigma))
    torch.testing.assert_close(given, alone + (y - alone.sum(1, keepdim=True)) / 2)


def test_a_prior_that_does_not_listen_is_refused():
    with pytest.raises(G.GuidanceError, match="does not listen to recordings; use MixtureLikel"):
        G.ToldMixture()(WhitePrior(), O.Mixture(2), torch.zeros(1, 1, 4))


def test_clipped_samples_follow_the_truncated_gaussian():
    """With independent samples the posterior beyond the clip level is a truncated Gaussian."""
    y = torch.full((20000, 1, 1), 0.6, dtype=torch.float64)
    prior = WhitePrior()
    draw = sample("imputation", "clip", "ancestral", y, y.shape, 200, prior)
    assert (draw >= 0.6 - 1e-9).all()
    normal = torch.distributions.Normal(0.0, 1.0)
    level = torch.tensor(0.6)
    mean = (normal.log_prob(level).exp() / (1 - normal.cdf(level))).item()
    assert abs(draw.mean().item() - mean) < 0.35  # projection is a rough likelihood; no unit error


def test_conjugate_gradients_solve_and_keep_items_apart():
    rng = torch.Generator().manual_seed(7)
    root = torch.randn(9, 9, generator=rng, dtype=torch.float64)
    a, b = root @ root.T + torch.eye(9), torch.randn(3, 1, 9, generator=rng, dtype=torch.float64)
    b[0] *= 1e3
    solved = G.conjugate_gradients(lambda u: u @ a, b, iterations=200, tolerance=1e-10)
    torch.testing.assert_close(solved @ a, b, rtol=1e-6, atol=1e-6)
    alone = G.conjugate_gradients(lambda u: u @ a, b[1:2], iterations=200, tolerance=1e-10)
    torch.testing.assert_close(solved[1:2], alone)
