"""Signals at other speeds, and what a prior makes of a guess at several."""

import numpy as np
import pytest
import torch

from voxmend.diffusion.speeds import at_speed, brought_back, energy_mean, marks_at_speed
from voxmend.diffusion.told import GuessDenoiser
from voxmend.operators import Evidence


def sine(hertz, seconds=1.0, rate=16000):
    return torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * rate)) / rate)[None, None]


@pytest.mark.parametrize("speed", [0.8, 0.88, 1.0, 1.15])
def test_a_slower_sine_is_lower_and_comes_back(speed):
    slow = at_speed(sine(1000), speed)
    expected = sine(1000 * speed, 1 / speed)[..., :slow.shape[-1]]
    inner = slice(400, -400)
    torch.testing.assert_close(slow[..., inner], expected[..., inner], rtol=0, atol=2e-3)
    back = brought_back(slow, speed, 16000)
    assert back.shape == (1, 1, 16000)
    torch.testing.assert_close(back[..., inner], sine(1000)[..., inner], rtol=0, atol=2e-3)


@pytest.mark.parametrize("speed", [0.8, 0.88, 1.0])
def test_marks_keep_their_place_and_side(speed):
    marks = torch.zeros(1, 1, 2, 5000)
    marks[..., 0, 1000:1100], marks[..., 1, 3000] = -1, 1
    slow = marks_at_speed(marks, speed)
    assert slow.shape[-1] == at_speed(marks, speed).shape[-1]
    low = torch.nonzero(slow[0, 0, 0])[:, 0]
    assert (slow[0, 0, 0, low] == -1).all() and slow[0, 0, 1].max() == 1
    # every sample whose signal is made of a marked one is marked, and only its neighbours besides
    assert low.min() / (999 / speed) == pytest.approx(1, abs=3e-3)
    assert low.max() / (1100 / speed) == pytest.approx(1, abs=3e-3)
    assert (low.diff() == 1).all()


def test_the_energy_of_a_mean_is_that_of_what_it_is_of():
    """Of what all say it is what they say; of noise, of which the plain mean keeps a quarter, all.
    """
    rng = torch.Generator().manual_seed(0)
    same = torch.randn(1, 1, 1, 8000, generator=rng)
    torch.testing.assert_close(energy_mean(same.expand(3, -1, -1, -1)), same[0], rtol=0, atol=1e-4)
    apart = torch.randn(4, 2, 1, 16000, generator=rng)
    assert apart.mean(0).square().mean() == pytest.approx(0.25, rel=0.05)
    assert energy_mean(apart).square().mean() == pytest.approx(1, rel=0.15)


class Erring(GuessDenoiser):
    """Gives back the guess with white errors of its own at every length, and notes the calls."""

    def __init__(self, error=0.03):
        super().__init__(torch.nn.Identity())
        self.error, self.calls = error, []

    def forward(self, x, sigma, evidence=None):
        self.calls.append((x.shape[-1], (x - evidence.guess).std().item() / float(sigma)))
        generator = torch.Generator().manual_seed(x.shape[-1])
        return evidence.guess + self.error * torch.randn(x.shape, generator=generator)


def test_a_guess_is_heard_at_every_speed_where_noise_hides_all_else():
    prior, guess = Erring(0.0), 0.1 * sine(440)
    told = prior.told(Evidence.of(guess), (1.0, 0.8))
    noise = torch.randn(guess.shape, generator=torch.Generator().manual_seed(1))
    found = told(guess + prior.sigma_max * noise, prior.sigma_max)
    torch.testing.assert_close(found, guess, rtol=0, atol=1e-4)
    assert [length for length, _ in prior.calls] == [16000, 20000]
    np.testing.assert_allclose([level for _, level in prior.calls], 1, atol=0.03)
    prior.calls.clear()
    torch.testing.assert_close(told(guess + 0.5 * noise, 0.5), guess)
    assert [length for length, _ in prior.calls] == [16000]


def test_errors_that_differ_from_speed_to_speed_are_smaller_in_the_mean():
    """White ones of two speeds have half the power, where the guess is louder than they."""
    prior, guess = Erring(0.003), 0.1 * torch.randn(1, 1, 64000)
    noise = torch.randn(guess.shape)
    errors = [(prior.told(Evidence.of(guess), speeds)(guess + 2 * noise, 2.0) - guess)
              for speeds in ((1.0,), (1.0, 0.8))]
    half = 64000 // 2
    band = [torch.fft.rfft(error).abs().square()[..., :round(0.7 * half)].mean()
            for error in errors]
    assert band[1] / band[0] == pytest.approx(0.5, abs=0.12)
