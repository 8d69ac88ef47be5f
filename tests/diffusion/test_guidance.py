"""Guidance by operators of one's own, whose observations may have any shape."""

import pytest
import torch

from helpers.gaussian import GaussianPrior
from voxmend import guidance as G
from voxmend import operators as O
from voxmend.diffusion.samplers import SAMPLERS
from voxmend.diffusion.schedules import karras_grid

LENGTH = 12


class Shaped(O.Operator):
    """Six weighted sums of the samples, in a shape of one's choice."""

    linear = True

    def __init__(self, shape, noise_std):
        rng = torch.Generator().manual_seed(3)
        self.weights = torch.randn(LENGTH, 6, generator=rng, dtype=torch.float64)
        self.shape, self.noise_std = shape, noise_std

    def forward(self, x):
        return (x @ self.weights).reshape(len(x), *self.shape)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guidance", ["proximal", "pigdm", "reconstruction"])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("shape", [(6,), (1, 2, 3)])
def test_an_observation_may_have_any_shape(shape, each, guidance, sampler):
    """The same numbers in another shape say the same, with levels of all items and of each."""
    prior, grid = GaussianPrior.correlated(LENGTH), karras_grid(6, 5.0, 0.05)
    sigmas = torch.stack([grid, 2 * grid], 1)[..., None] if each else grid
    rng = torch.Generator().manual_seed(4)
    x, start, noise = torch.randn(3, 2, 1, LENGTH, generator=rng, dtype=torch.float64)
    drawn = []
    for form in ((1, 6), shape):
        items = [Shaped(form, std) for std in ((0.1, 0.2) if each else (0.1, 0.1))]
        operator = O.Each(items) if each else items[0]
        denoise = G.GUIDANCES[guidance]()(prior, operator, operator(x))
        drawn.append(SAMPLERS[sampler](denoise, 5 * start, sigmas, lambda like: noise))
    assert drawn[1].shape == x.shape
    torch.testing.assert_close(*drawn)


def test_noise_of_each_item_may_be_filtered_or_cut():
    """What is composed with a batch of operators is what is composed with each of them."""
    each, gap = O.Each([O.WhiteNoise(0.3), O.WhiteNoise(0.4)]), O.Gap(torch.arange(LENGTH) > 3)
    assert not (O.Lowpass(4000.0) @ each).linear
    cut = gap @ each
    assert cut.linear and cut.noise_std.tolist() == pytest.approx([0.3, 0.4])
    rng = torch.Generator().manual_seed(5)
    x, y = torch.randn(2, 2, 1, LENGTH, generator=rng, dtype=torch.float64)
    found = G.Proximal()(GaussianPrior.correlated(LENGTH), cut, gap(y))(x, torch.tensor(0.5))
    for i, std in enumerate((0.3, 0.4)):
        alone = G.Proximal()(GaussianPrior.correlated(LENGTH), gap @ O.WhiteNoise(std),
                             gap(y)[i:i + 1])(x[i:i + 1], torch.tensor(0.5))
        torch.testing.assert_close(found[i:i + 1], alone)


@pytest.mark.parametrize("cutoff", [2000.0, 3000.0])
def test_the_way_to_a_mel_spectrogram_has_a_gradient(cutoff):
    """Also where a bin of the filtered signal is exactly 0, as happens in single precision."""
    operator = O.Mel() @ O.Lowpass(cutoff)
    for seed in range(40):
        rng = torch.Generator().manual_seed(seed)
        x, other = 0.1 * torch.randn(2, 1, 1, 2048, generator=rng)
        other.requires_grad_()
        residual = operator.residual(other, operator(x))
        assert torch.autograd.grad(residual.square().sum(), other)[0].isfinite().all()
