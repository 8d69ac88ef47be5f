"""bf16 where it pays: what chooses it, and what it changes."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from helpers.commands import run
from helpers.speech import voice
from voxmend.metrics.si_snr import si_snr
from voxmend.models import hub, precision
from voxmend.restore.restorer import Restorer


@pytest.fixture
def auto(monkeypatch):
    """As outside of tests, on a machine that is told."""
    monkeypatch.delenv("VOXMEND_PRECISION")
    return lambda pays: monkeypatch.setattr(precision, "pays_bf16", lambda kind: pays)


def test_auto_takes_what_pays_for_networks_that_bear_it(auto, prior):
    for pays, name in ((True, "bf16"), (False, "fp32")):
        auto(pays)
        assert precision.choose(hub.load_prior(str(prior)), "auto") == name
        assert precision.choose(hub.load_prior(str(prior)), "fp32") == "fp32"
        assert precision.choose(hub.load_prior(str(prior)), "bf16") == "bf16"
    auto(True)
    network = hub.load_prior(str(prior)).network
    type(network).bears_bf16, before = False, type(network).bears_bf16
    try:
        assert precision.choose(network, "auto") == "fp32"
    finally:
        type(network).bears_bf16 = before
    assert precision.choose(nn.Linear(1, 1), "bf16") == "fp32"  # somebody's own stays as it is


def test_the_environment_stands_for_auto_alone(monkeypatch):
    for name in ("fp32", "bf16"):
        monkeypatch.setenv("VOXMEND_PRECISION", name)
        assert precision.resolve("auto", nn.Identity(), "cpu") == name
        assert precision.resolve("fp32", nn.Identity(), "cpu") == "fp32"
    monkeypatch.setenv("VOXMEND_PRECISION", "half")
    for wanted in ("auto", "int8"):
        with pytest.raises(ValueError, match="precision .*: give auto, fp32, bf16"):
            precision.resolve(wanted, nn.Identity(), "cpu")


def test_the_measurement_is_of_the_machine(monkeypatch):
    ratio = precision.speed_up(torch.device("cpu"), seconds=0.02)
    assert 0.02 < ratio < 50
    monkeypatch.setattr(precision, "speed_up", lambda device: 2.0)
    assert not precision.pays_bf16.__wrapped__("mps")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not precision.pays_bf16.__wrapped__("cpu")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert precision.pays_bf16.__wrapped__("cpu")
    monkeypatch.setattr(precision, "speed_up", lambda device: 1.2)
    assert not precision.pays_bf16.__wrapped__("cpu")


def test_bf16_is_near_to_fp32_and_repeats_itself(prior):
    """The difference is so far below the result that no figure moves by 0.05 dB."""
    wave = voice(0.5)[0]
    found = {name: Restorer("denoise", str(prior), device="cpu", precision=name) for name in
             ("fp32", "bf16")}
    noisy = wave + 0.02 * np.random.default_rng(0).normal(size=wave.shape).astype(np.float32)
    exact, rough = (restorer(noisy, 16000) for restorer in found.values())
    assert rough.dtype == np.float32 and np.any(rough != exact)
    assert abs(si_snr(rough, wave) - si_snr(exact, wave)) < 0.05
    np.testing.assert_array_equal(rough, found["bf16"](noisy, 16000))
    assert [restorer.entry["precision"] for restorer in found.values()] == ["fp32", "bf16"]


def test_a_network_gives_and_takes_fp32(prior):
    network = hub.load_prior(str(prior)).network
    plain = hub.load_prior(str(prior)).network
    precision.choose(network, "bf16")
    x = torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    out = network(x, torch.zeros(1))
    assert out.dtype == torch.float32 and all(p.dtype == torch.float32
                                              for p in network.parameters())
    out.square().sum().backward()
    assert x.grad.dtype == torch.float32 and x.grad.isfinite().all()
    expected = plain(x, torch.zeros(1))
    assert 0 < (out - expected).square().sum() < 1e-3 * expected.square().sum()
    assert precision.precision_of(network) == "bf16"
    again = network(x, torch.zeros(1))
    assert torch.equal(out, again)
    assert precision.choose(network, "fp32") == "fp32"
    assert torch.equal(network(x, torch.zeros(1)), expected)


def test_sidecars_say_it(prior, wav, tmp_path, capsys):
    source = wav()
    for name in ("fp32", "bf16"):
        out = tmp_path / f"{name}.wav"
        code, text = run(capsys, "denoise", source, out, "--prior", prior, "--noise", 0.01,
                         "--device", "cpu", "--precision", name)
        assert code == 0, text.err
        assert json.loads((tmp_path / f"{name}.wav.voxmend.json").read_text())["precision"] == name
