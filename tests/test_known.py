"""What is known without noise: operators, guidance, prior and training agree on it."""

import numpy as np
import pytest
import torch

from conftest import voice
from gaussian import GaussianPrior, posterior
from voxmend.guidance import Imputation
from voxmend.operators import Clip, Gap, Lowpass, Mel, WhiteNoise
from voxmend.samplers import ancestral
from voxmend.schedules import geometric_grid
from voxmend.training import random_context

GAP = Gap.between([(0.05, 0.07), (0.1, 0.13)], 4000, 16000)
OPERATORS = {"gap": GAP, "lowpass": Lowpass(3000.0), "clip": Clip(0.05),
             "gap@lowpass": GAP @ Lowpass(3000.0), "gap@clip": GAP @ Clip(0.05),
             "gap@clip@lowpass": GAP @ Clip(0.05) @ Lowpass(3000.0)}


@pytest.mark.parametrize("name", OPERATORS)
def test_reveal_leaves_the_noise_that_known_calls_hidden(name):
    """reveal(x + n, A x) = x + hidden(n), up to the filter's transition band."""
    operator = OPERATORS[name]
    x = torch.from_numpy(voice(0.25))[None].double()
    n = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    n[..., :400] = n[..., -400:] = 0  # `hidden` filters circularly
    y = operator(x)
    known = operator.known(y)
    left = operator.reveal(x + 0.1 * n, y) - x
    right = known.hidden(0.1 * n)
    assert (left - right).norm() < 0.02 * right.norm()
    assert 0.1 * n.norm() > right.norm() > 0.02 * n.norm()


@pytest.mark.parametrize("operator", [Mel(), WhiteNoise(0.1), GAP @ WhiteNoise(0.1),
                                      Lowpass(3000.0) @ Clip(0.05)], ids=repr)
def test_nothing_is_known_where_no_part_is_exact(operator):
    x = torch.from_numpy(voice(0.25))[None]
    assert operator.known(operator(x)) is None


class InformedGaussianPrior(GaussianPrior):
    """The exact denoiser of a Gaussian signal in noise of std σ·(1 − time)."""

    sees_known = True

    def forward(self, x, sigma, known=None):
        if known is None:
            return super().forward(x, sigma)
        noise = torch.diag((float(sigma) * (1 - known.time.flatten()[:x.shape[-1]])) ** 2)
        ridge = 1e-9 * torch.eye(len(noise), dtype=x.dtype)
        return x @ torch.linalg.solve(self.covariance + noise + ridge, self.covariance)


def test_imputation_is_exact_for_a_prior_that_sees_what_is_known():
    """Samples in gaps of a correlated signal follow the exact posterior; uninformed ones do not."""
    length, draws = 12, 4000
    gap = Gap(torch.ones(length).index_fill(0, torch.tensor([4, 5, 6]), 0))
    prior = InformedGaussianPrior.correlated(length)
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(1, 1, length, generator=rng, dtype=torch.float64)
    y = gap(x @ torch.linalg.cholesky(prior.covariance).T)
    a = torch.diag(gap.present.double())[gap.present]
    mean, covariance = posterior(prior.covariance, a, y.flatten()[gap.present], 0.0)
    error = {}
    for prior.sees_known in (True, False):
        def noise(like):
            return torch.randn(like.shape, generator=rng, dtype=like.dtype)

        batch, sigmas = y.expand(draws, 1, length), geometric_grid(80, 20.0, 0.01)
        denoise = Imputation()(prior, gap, batch)
        out = ancestral(denoise, sigmas[0] * noise(batch), sigmas, noise)[:, 0]
        error[prior.sees_known] = (out.T.cov() - covariance).abs().max() + (
            out.mean(0) - mean).abs().max()
    assert error[True] < 0.08 and error[False] > 2 * error[True], error


def test_random_context_hides_and_tells_something():
    clean = torch.from_numpy(np.stack([voice(1.0, seed=s) for s in range(8)])) * 0.5
    seen = [random_context(clean, 16000, 0.4, np.random.default_rng(seed)) for seed in range(12)]
    share = torch.cat([k.time.mean(-1) * k.frequency.mean(-1) for k in seen]).flatten()
    assert 0 <= share.min() and share.max() <= 1 and (share == 0).float().mean() > 0.1
    assert share.std() > 0.2
    again = random_context(clean, 16000, 0.4, np.random.default_rng(0))
    torch.testing.assert_close(again.time, seen[0].time)
    clip = random_context(clean, 16000, 1.0, np.random.default_rng(0))
    heard = clip.lowpass(clean).abs()
    for row, mask in zip(heard, clip.time.bool()):
        assert row[mask].max() < row.max()
