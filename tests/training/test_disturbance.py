"""The loss that hears as PESQ does: against PESQ itself, at any level, and its gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend import audio, demo
from voxmend.training.disturbance import disturbance


def mos(found, clean):
    """Wide-band PESQ by P.862.2's curve, of 4.5 less the disturbance."""
    least = disturbance(*(torch.as_tensor(x, dtype=torch.float32)[None] for x in (found, clean)))
    return 0.999 + 4 / (1 + np.exp(3.8224 - 1.3669 * (4.5 - least.item())))


def damaged(clean, kind, rng):
    noise = rng.normal(size=clean.shape) * clean.std()
    if kind == "dull":
        return np.convolve(clean, np.hanning(9) / np.hanning(9).sum(), "same")
    if kind == "clipped":
        return np.clip(clean, -clean.std(), clean.std())
    return clean + 10 ** (-float(kind) / 20) * noise


@pytest.mark.parametrize("kind", ["5", "15", "25", "35", "dull", "clipped"])
def test_is_what_pesq_takes_off(kind):
    pesq = pytest.importorskip("pesq").pesq
    clean = audio.load(Path(demo.__file__).parent / "clean.flac", 16000)[0]
    found = damaged(clean, kind, np.random.default_rng(0)).astype(np.float32)
    assert mos(found, clean) == pytest.approx(pesq(16000, clean, found, "wb"), abs=0.12)


def test_levels_do_not_count_and_each_item_is_by_itself():
    clean = torch.from_numpy(np.concatenate([voice(2.0, seed=s) for s in (0, 1)])).float()
    found = clean + 0.01 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    both = disturbance(found, clean)
    assert both.shape == (2,) and (both > 0.1).all()
    torch.testing.assert_close(disturbance(0.1 * found, 3 * clean), both, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(disturbance(found[1:], clean[1:]), both[1:])
    assert disturbance(clean, clean).max() < 2e-3


def test_gradients_lead_to_less_of_it():
    clean = torch.from_numpy(voice(2.0, seed=0)).float()
    found = clean + 0.02 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    found.requires_grad_()
    before = disturbance(found, clean)
    before.sum().backward()
    step = 1e-3 * found.grad / found.grad.abs().max()
    assert disturbance((found - step).detach(), clean) < before


def test_silence_has_gradients_that_are_numbers():
    for clean in (torch.zeros(1, 8000), torch.from_numpy(voice(0.5, seed=0)).float()):
        found = torch.zeros_like(clean, requires_grad=True)
        disturbance(found, clean).sum().backward()
        assert found.grad.isfinite().all()


def test_is_in_full_precision_under_autocast():
    clean = torch.from_numpy(voice(1.0, seed=0)).float()
    found = clean + 0.01
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(disturbance(found, clean), disturbance(found, clean))
        cast = disturbance(found, clean)
    assert torch.equal(cast, disturbance(found, clean))
