"""Shared small things: a tiny prior on disk and a speech-like wave."""

import numpy as np
import pytest
import torch

from voxmend import audio, hub

CONFIG = dict(channels=16, blocks=2, kernel=3, dilations=[1, 2], expansion=2)


@pytest.fixture(scope="session")
def prior(tmp_path_factory):
    """Path of a small random prior."""
    torch.manual_seed(0)
    network = hub.build_network("FrameConvNeXt", CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    path = tmp_path_factory.mktemp("prior") / "small.safetensors"
    hub.save_prior(path, dict(network.named_parameters()), {
        "network": "FrameConvNeXt", "config": CONFIG, "sample_rate": 16000, "sigma_min": 0.002,
        "sigma_max": 2.0, "sigma_data": 0.1})
    return path


@pytest.fixture
def epsilon_prior(tmp_path):
    """Path of a small random ε-network of a DDPM with five steps."""
    torch.manual_seed(0)
    network = hub.build_network("FrameConvNeXt", CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    hub.save_prior(tmp_path / "ddpm.safetensors", dict(network.named_parameters()), {
        "network": "FrameConvNeXt", "config": CONFIG, "sample_rate": 16000,
        "prediction": "epsilon", "sigma_data": 0.1,
        "betas": {"schedule": "linear", "steps": 5, "start": 0.01, "end": 0.5}})
    return tmp_path / "ddpm.safetensors"


def voice(seconds=2.0, rate=16000, channels=1, seed=0):
    """Harmonics of a gliding pitch under a syllable-like envelope, `[C, T]`."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(3 * time + seed)) / rate
    harmonics = sum(np.sin(k * pitch + rng.uniform(0, 6)) / k for k in range(1, 40)
                    if k * 150 < rate / 2)
    wave = 0.1 * harmonics * (0.3 + np.sin(9 * time) ** 2)
    wave = wave + 1e-4 * rng.standard_normal(len(time))
    return np.stack([wave * (0.5 + 0.5 / (c + 1)) for c in range(channels)]).astype(np.float32)


@pytest.fixture
def wav(tmp_path):
    """Writes a voice to a file and returns its path."""
    def write(name="in.wav", wave=None, rate=16000, **options):
        path = tmp_path / name
        audio.save(path, voice(rate=rate, **options) if wave is None else wave, rate,
                   subtype="FLOAT" if name.endswith("wav") else None)
        return path
    return write
