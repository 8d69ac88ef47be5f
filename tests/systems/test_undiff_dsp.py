"""Signal processing against what UnDiff's public code computes (SamsungLabs/Undiff 0cf90fd)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from voxmend.diffusion import schedules
from voxmend.dsp import degrade
from voxmend.metrics import METRICS
from voxmend.operators import Mel

RATE = 16000


@pytest.fixture(scope="module")
def vectors():
    return load_file(Path(__file__).parents[1] / "data" / "undiff_dsp.safetensors")


def wave(vectors, name):
    return vectors[name].ravel().astype(np.float64)


def relative(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


def test_mel_spectrogram(vectors):
    both = torch.from_numpy(np.concatenate([vectors["in/x"], vectors["in/estimate"]]))
    mel = Mel()(both)[:, 0].numpy()
    assert relative(mel, vectors["out/mel_batch2"]) < 1e-5


def test_clip_level(vectors):
    x = vectors["in/x"]
    level = degrade.clip_level_for_sdr(x, 3.0)
    assert level == pytest.approx(vectors["out/clip_level_exact_root"].item(), rel=1e-7)
    assert level == pytest.approx(vectors["out/clip_level"].item(), rel=1e-5)


def test_lsd(vectors):
    value = METRICS["lsd"](wave(vectors, "in/estimate"), wave(vectors, "in/x"), RATE)
    assert value == pytest.approx(vectors["out/lsd"].item(), rel=1e-4)


@pytest.mark.parametrize("estimate, expected", [("in/estimate", "out/si_snr"),
                                                ("clipped", "out/si_snr_clipped")])
def test_si_snr(estimate, expected, vectors):
    """Equal to the release, which keeps the mean, where there is none; within 0.1 dB on these.

    A signal followed by its negative has mean 0, and the same energies and products twice over.
    """
    x, theirs = wave(vectors, "in/x"), vectors[expected].item()
    y = (degrade.clip(x, vectors["out/clip_level"].item()) if estimate == "clipped"
         else wave(vectors, estimate))
    twice = [np.concatenate([signal, -signal]) for signal in (y, x)]
    assert METRICS["si_snr"](*twice, RATE) == pytest.approx(theirs, abs=1e-4)
    assert METRICS["si_snr"](y, x, RATE) == pytest.approx(theirs, abs=0.1)


def test_schedule(vectors):
    betas = schedules.linear_betas(200)
    assert relative(betas.numpy(), vectors["out/beta_all"]) < 1e-12
    alpha_bar = vectors["out/alpha_bar_all"]
    sigmas = schedules.betas_to_sigmas(betas).numpy()
    assert np.abs(sigmas**2 * alpha_bar / (1 - alpha_bar) - 1).max() < 1e-10
    assert relative(schedules.ddpm_grid(betas)[:-1].flip(0).numpy(), sigmas) == 0
