"""The first guess of missing samples."""

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend.classical import ar_interpolate
from voxmend.operators import Gap


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_goes_on_through_a_gap_at_any_rate(rate):
    time = torch.arange(rate) / rate
    tone = (0.3 * torch.sin(2 * torch.pi * 210 * time)
            + 0.1 * torch.sin(2 * torch.pi * 630 * time))[None, None]
    gap = Gap.between([(0.5, 0.53)], rate, rate)
    found = gap.start(gap(tone))
    lost = ~gap.present
    error = (found - tone)[..., lost].square().mean() / tone[..., lost].square().mean()
    assert 10 * error.log10() < -25
    torch.testing.assert_close(found[..., gap.present], tone[..., gap.present])


def test_two_models_err_less_than_either():
    """Of 160 gaps in voices of glides and formants, the mean squared error."""
    errors = {"mean": [], "short": [], "long": []}
    for seed in range(8):
        wave = voice(4.0, seed=seed)[0]
        gap = Gap.between([(0.1 + 0.19 * k, 0.14 + 0.19 * k) for k in range(20)], len(wave), 16000)
        lost = ~gap.present.numpy()
        damaged = np.where(lost, 0, wave)
        guesses = {"mean": gap.start(torch.from_numpy(damaged)[None, None])[0, 0].numpy(),
                   "short": ar_interpolate(damaged, lost, 128, 1000),
                   "long": ar_interpolate(damaged, lost, 256, 1000)}
        for name, guess in guesses.items():
            errors[name].append(np.mean((guess - wave)[lost] ** 2))
    mean, short, long = (np.mean(errors[name]) for name in ("mean", "short", "long"))
    assert mean < min(short, long)


@pytest.mark.parametrize("present", [
    [1, 0, 1], [True, False, True], np.array([1.0, 0.0, 1.0]), np.array([True, False, True])])
def test_a_mask_may_be_any_array(present):
    gap = Gap(present)
    assert torch.equal(gap(torch.ones(1, 1, 3)), torch.tensor([[[1.0, 0.0, 1.0]]]))
    assert torch.equal(gap.evidence(torch.ones(1, 1, 3)).marks[0, 0, 1], torch.tensor([0., 1, 0]))


@pytest.mark.parametrize("gaps, said", [
    ([(0.2, 0.1)], "as it passes"), ([(-0.1, 0.1)], "as it passes"),
    ([(0.1, np.nan)], "as it passes"), ([(0.1, np.inf)], "as it passes"),
    ((0.1, 0.2), "give pairs"), ([(0.1, 0.2, 0.3)], "give pairs"), ([("a", "b")], "give pairs")])
def test_gaps_are_pairs_that_pass(gaps, said):
    with pytest.raises(ValueError, match=f"^gaps: .*{said}"):
        Gap.between(gaps, 16000, 16000)


def test_gaps_may_be_empty_or_lie_elsewhere():
    assert Gap.between([(0.1, 0.1), (0.2, 0.3), (3, 4)], 16000, 16000, 8000).present.all()
