"""Shared fixtures: tiny priors on disk and a speech-like recording."""

import os
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch when imported, here and in children

import pytest
import torch

from helpers.speech import CONFIG, voice
from voxmend import audio, classical
from voxmend.models import hub

os.environ["VOXMEND_PRECISION"] = "fp32"  # what auto stands for: tests compare bit by bit


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


@pytest.fixture
def hasty_spade(monkeypatch):
    """For tables that list SPADE, which takes most of their time, and do not judge it."""
    for name in ("a_spade", "s_spade"):
        monkeypatch.setattr(classical, name, partial(getattr(classical, name), growth=0.1))


@pytest.fixture
def wav(tmp_path):
    """Writes a voice to a file and returns its path."""
    def write(name="in.wav", wave=None, rate=16000, **options):
        path = tmp_path / name
        audio.save(path, voice(rate=rate, **options) if wave is None else wave, rate,
                   subtype="FLOAT" if name.endswith("wav") else None)
        return path
    return write
