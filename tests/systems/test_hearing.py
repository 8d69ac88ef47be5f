"""What is heard in several ways: closed forms of what their mean must be."""

import pytest
import torch

from voxmend.systems import hearing


def test_voices_are_put_in_the_order_of_others():
    rng = torch.Generator().manual_seed(0)
    voices = torch.randn(5, 3, 400, generator=rng)
    shuffled = torch.stack([v[torch.randperm(3, generator=rng)] for v in voices])
    noisy = voices + 0.5 * torch.randn(5, 3, 400, generator=rng)
    assert torch.equal(hearing.in_order_of(shuffled, noisy), voices)


@pytest.mark.parametrize("ordered", [True, False])
def test_what_errs_by_polarity_is_averaged(ordered):
    """Odd parts of the mixture with an even error; unordered, in an order that its sign sets."""
    mixture = torch.randn(1, 1, 400, generator=torch.Generator().manual_seed(0))
    mixture[..., 0] = 1.0

    def separate(mixture):
        parts = torch.cat([0.7 * mixture, 0.3 * mixture.roll(1, -1)], 1) + 0.1 * mixture.abs()
        return parts if ordered or mixture[0, 0, 0] > 0 else parts.flip(1)

    expected = torch.cat([0.7 * mixture, 0.3 * mixture.roll(1, -1)], 1)
    found = hearing.over_polarities(separate, mixture, 2, ordered)
    torch.testing.assert_close(found, expected)
    once = hearing.over_polarities(separate, mixture, 1, ordered)
    torch.testing.assert_close(once, separate(mixture))
    with pytest.raises(ValueError, match="two polarities, not 3"):
        hearing.over_polarities(separate, mixture, 3)


@pytest.mark.parametrize("ordered", [True, False])
def test_what_errs_by_speed_is_averaged(ordered):
    """Tones of 300 and 500 Hz, of which a network that knows frequencies swaps the slow ones."""
    times = torch.arange(16000) / 16000
    tones = torch.stack([torch.sin(2 * torch.pi * f * times) for f in (300, 500)])[None]
    speeds = []

    def separate(mixture):
        speeds.append(round(16000 / mixture.shape[-1], 2))
        slow = mixture.shape[-1] > 16000
        sources = torch.stack([torch.sin(2 * torch.pi * f * speeds[-1] * torch.arange(
            mixture.shape[-1]) / 16000) for f in (300, 500)])[None]
        gain = {1.0: 1.0, 0.97: 0.7, 1.03: 1.3}[speeds[-1]]
        return gain * (sources.flip(1) if slow and not ordered else sources)

    found = hearing.over_speeds(separate, tones.sum(1, keepdim=True), (1, 0.97, 1.03), ordered)
    assert speeds == [1.0, 0.97, 1.03]
    inner = slice(200, -200)  # the resampler rings at the ends
    torch.testing.assert_close(found[..., inner], tones[..., inner], atol=5e-3, rtol=0)


def test_speeds_leave_what_resampling_would_lose():
    """Of a tone that 1.03 times as fast lies above half the sample rate."""
    tone = torch.sin(2 * torch.pi * 7900 * torch.arange(16000) / 16000).view(1, 1, -1)
    found = hearing.over_speeds(lambda mixture: mixture, tone, (1, 0.97, 1.03))
    torch.testing.assert_close(found, tone)


def test_speech_and_noise_are_not_taken_for_each_other():
    """One polarity takes nearly all for speech and the other little: the mean is between."""
    mixture = torch.ones(1, 1, 10)

    def enhance(mixture):
        share = 0.9 if mixture[0, 0, 0] > 0 else 0.2
        return torch.cat([share * mixture, (1 - share) * mixture], 1)

    found = hearing.over_polarities(enhance, mixture, 2, ordered=True)
    torch.testing.assert_close(found, torch.tensor([0.55, 0.45]).view(1, 2, 1).expand(1, 2, 10))
