"""The constant-Q transform against a slow per-band one, its adjoint and its exact inverse."""

import numpy as np
import pytest
import torch

from voxmend.dsp.cqt import CQT

LENGTHS = (16384, 32000, 32768, 65536, 8001, 1000)


def per_band(x, octaves, bins_per_octave):
    """The transform of one even-length signal, band after band, as the docstring defines it."""
    period = len(x)
    centres = [0.0] + [period / 2 / 2 ** (octaves - k / bins_per_octave)
                       for k in range(octaves * bins_per_octave)] + [period / 2]
    below = [-centres[1], *centres[:-1]]
    above = [*centres[1:], period - centres[-2]]
    widths = [max(4, 2 * round((b - a) / 2)) for a, b in zip(below, above)]
    frames = max(widths)
    rows = []
    for centre, width in zip(centres, widths):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
        base_band = np.zeros(frames, complex)
        for j in range(-width // 2, width // 2):
            phase = -2j * np.pi * (round(centre) + j) * np.arange(period) / period
            base_band[j] = window[j + width // 2] * np.sum(x * np.exp(phase))
        scale = frames / np.sqrt(period * np.sum(window**2))
        rows.append(scale * np.fft.ifft(base_band))
    return np.stack(rows)


@pytest.mark.parametrize("length", LENGTHS)
def test_round_trip_of_white_noise(length):
    cqt = CQT()
    x = torch.randn(2, 1, length, generator=torch.Generator().manual_seed(length))
    error = cqt.inverse(cqt.forward(x), length) - x
    assert error.norm() / x.norm() < 2e-6
    assert error.abs().max() < 1e-5


@pytest.mark.parametrize("length", LENGTHS)
def test_round_trip_of_extreme_signals(length):
    impulse = torch.zeros(length)
    impulse[length // 3] = 1
    nyquist = 1 - 2 * (torch.arange(length) % 2).float()
    x = torch.stack([impulse, torch.ones(length), nyquist])
    error = CQT().inverse(CQT().forward(x), length) - x
    assert (error.norm(dim=-1) / x.norm(dim=-1)).max() < 2e-6


@pytest.mark.parametrize("octaves, bins, length", [
    (7, 64, 1), (7, 64, 2), (7, 64, 7), (1, 1, 50), (8, 32, 500), (3, 5, 999)])
def test_round_trip_of_odd_configurations(octaves, bins, length):
    cqt = CQT(octaves, bins)
    x = torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(cqt.inverse(cqt.forward(x), length), x, atol=1e-12)


def test_size_of_the_published_configuration():
    cqt = CQT(octaves=7, bins_per_octave=64)
    assert cqt.bands == 450
    assert cqt.forward(torch.zeros(1, 32768)).shape == (1, 450, 352)
    assert cqt.forward(torch.zeros(1, 16384)).shape == (1, 450, 176)
    assert cqt.forward(torch.zeros(1, 32000)).shape == (1, 450, 344)


@pytest.mark.parametrize("octaves, bins, length", [(4, 6, 600), (6, 24, 256), (2, 3, 1024)])
def test_equals_a_loop_over_bands(octaves, bins, length):
    x = np.random.default_rng(0).standard_normal(length)
    fast = CQT(octaves, bins).forward(torch.from_numpy(x)).numpy()
    assert np.allclose(fast, per_band(x, octaves, bins), atol=1e-11)


@pytest.mark.parametrize("band", [0, 100, 224, 300, 447, 449])
def test_tone_peaks_in_its_band(band):
    length = 32768
    nyquists = 0.0 if band == 0 else 2.0 ** ((band - 1) / 64 - 7)
    tone = torch.cos(torch.pi * round(nyquists * length / 2) / (length / 2) * torch.arange(length))
    energy = CQT().forward(tone).abs().square().sum(-1)
    assert energy.argmax() == band
    assert energy[band] > 0.99 * energy.sum()  # the neighbours' windows end at the centre


def test_white_noise_has_unit_variance_in_every_band():
    x = torch.randn(200, 4096, generator=torch.Generator().manual_seed(0))
    power = CQT(5, 8).forward(x).abs().square().mean((0, 2))
    assert torch.allclose(power, torch.ones(42), atol=0.3)
    assert abs(power.mean() - 1) < 0.03


@pytest.mark.parametrize("octaves, bins, length", [(7, 64, 300), (4, 8, 201), (7, 12, 128)])
def test_frame_bounds(octaves, bins, length):
    """0 < A ≤ ‖Cx‖²/‖x‖² ≤ B: the singular values of the analysis matrix."""
    matrix = torch.view_as_real(CQT(octaves, bins).forward(torch.eye(length).double())).flatten(1)
    singular = torch.linalg.svdvals(matrix)
    assert singular[-1] > 0.05
    assert singular[0] < 100 * singular[-1]


def test_inverse_is_least_squares():
    """On coefficients of no signal the inverse is the weighted pseudo-inverse, real and exact."""
    cqt, length, rng = CQT(3, 4), 96, torch.Generator().manual_seed(0)
    matrix = cqt.forward(torch.eye(length).double()).flatten(1)
    c = torch.randn(cqt.forward(torch.zeros(length)).shape, dtype=torch.complex128, generator=rng)
    weight = torch.full(c.shape, 2.0).double()
    weight[[0, -1]] = 1
    rows = torch.view_as_real(weight.flatten().sqrt() * matrix).flatten(1).T
    target = torch.view_as_real((weight.sqrt() * c).flatten()).flatten()
    expected = torch.linalg.lstsq(rows, target).solution
    assert torch.allclose(cqt.inverse(c, length), expected, atol=1e-10)


@pytest.mark.parametrize("length", [101, 400])
def test_gradients_are_adjoints(length):
    """⟨Cx, c⟩ = ⟨x, C*c⟩ and ⟨C⁻¹c, x⟩ = ⟨c, C⁻*x⟩, with C* and C⁻* from autograd."""
    cqt, rng = CQT(5, 12), torch.Generator().manual_seed(0)
    x = torch.randn(2, length, dtype=torch.float64, generator=rng, requires_grad=True)
    c = torch.randn(cqt.forward(x).shape, dtype=torch.complex128, generator=rng, requires_grad=True)
    analysed = (cqt.forward(x) * c.detach().conj()).real.sum()
    (adjoint,) = torch.autograd.grad(analysed, x)
    assert torch.allclose((x * adjoint).sum(), analysed, rtol=1e-10)
    synthesised = (cqt.inverse(c, length) * x.detach()).sum()
    (adjoint,) = torch.autograd.grad(synthesised, c)
    assert torch.allclose((c * adjoint.conj()).real.sum(), synthesised, rtol=1e-10)


def test_gradcheck():
    cqt, rng = CQT(2, 2), torch.Generator().manual_seed(0)
    x = torch.randn(1, 18, dtype=torch.float64, generator=rng, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: cqt.forward(x).abs().square(), x)
    assert torch.autograd.gradcheck(lambda x: cqt.inverse(cqt.forward(x).sin(), 17), x)


def test_items_are_independent():
    cqt, x = CQT(5, 8), torch.randn(3, 2, 700, generator=torch.Generator().manual_seed(0))
    c = cqt.forward(x)
    assert torch.allclose(cqt.forward(x[1, 1]), c[1, 1], atol=1e-6)
    assert torch.allclose(cqt.inverse(c[1, 1], 700), cqt.inverse(c, 700)[1, 1], atol=1e-6)


def test_frames_built_in_inference_serve_training():
    cqt = CQT(3, 7)
    with torch.inference_mode():
        cqt.inverse(cqt.forward(torch.randn(333)), 333)
    x = torch.randn(333, requires_grad=True)
    cqt.inverse(cqt.forward(x), 333).square().sum().backward()
    assert torch.allclose(x.grad, 2 * x, atol=1e-4)
