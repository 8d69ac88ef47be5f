"""The CQT-UNet's size and the contract of an ε-network."""

import math

import pytest
import torch

from voxmend.models import hub
from voxmend.networks.cqt_unet import Block, CQTUNet, double, halve
from voxmend.networks.embedding import NoiseEmbedding


@pytest.fixture(scope="module")
def network():
    """A tiny network whose output convolutions no longer are zero."""
    torch.manual_seed(0)
    network = hub.build_network("CQTUNet", dict(widths=(8, 8, 16), layers=2, octaves=3,
                                                bins_per_octave=6))
    for layer in network.leave:
        torch.nn.init.normal_(layer.weight)
    return network.eval()


def noisy(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("preset, millions, tolerance",
                         [("paper", 27.8, 0.03), ("small", 0.75, 0.05)])
def test_parameters(preset, millions, tolerance):
    with torch.device("meta"):
        count = sum(p.numel() for p in CQTUNet(**CQTUNet.PRESETS[preset]).parameters())
    assert abs(count / (millions * 1e6) - 1) < tolerance


def test_defaults_are_the_paper():
    with torch.device("meta"):
        default, paper = CQTUNet(), CQTUNet(**CQTUNet.PRESETS["paper"])
    assert repr(default) == repr(paper)
    assert default.cqt.bands == paper.cqt.bands == 450


@pytest.mark.parametrize("length", [1, 37, 1000, 1001, 4096])
def test_any_length(network, length):
    out = network(noisy(1, 1, length), torch.tensor([0.01]))
    assert out.shape == (1, 1, length)
    assert out.isfinite().all() and out.abs().max() > 0


def test_starts_at_zero():
    network = CQTUNet(**CQTUNet.PRESETS["small"])
    assert not network(noisy(1, 1, 500), torch.tensor([0.01])).any()


def test_gradients_reach_every_parameter(network):
    network.zero_grad()
    network(noisy(2, 1, 1000), torch.tensor([1e-4, 0.02])).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_items_are_independent(network):
    x, beta = noisy(3, 1, 900), torch.tensor([1e-4, 3e-3, 0.02])
    with torch.no_grad():
        together, alone = network(x, beta), network(100 * x[1:2], beta[1:2])
        x = torch.cat([0 * x[:1], 100 * x[1:2], x[2:]])
        assert torch.allclose(network(x, beta)[1:2], alone, rtol=1e-3, atol=1e-4)
        assert torch.allclose(network(x, beta)[2], together[2], rtol=1e-3, atol=1e-4)


def test_noise_level_matters(network):
    x = noisy(1, 1, 900)
    with torch.no_grad():
        low, high = (network(x, torch.tensor([beta])) for beta in (1e-4, 0.02))
    assert (low - high).norm() > 0.01 * low.norm()


def test_half_precision(network):
    """Under autocast, as in training on a GPU: the transform stays in single precision."""
    x, beta = noisy(1, 1, 900), torch.tensor([0.01])
    exact = network(x, beta)
    with torch.autocast("cpu", torch.bfloat16):
        out = network(x, beta)
    assert out.dtype == torch.float32
    assert (out - exact).norm() < 0.05 * exact.norm()


def test_noise_embedding_by_hand():
    torch.manual_seed(0)
    embed, beta = NoiseEmbedding(), 0.003
    state = embed.state_dict()
    assert {n: tuple(t.shape) for n, t in state.items()} == {
        "rff.gaussian": (1, 64), "proj1.weight": (512, 128), "proj1.bias": (512,),
        "proj2.weight": (512, 512), "proj2.bias": (512,)}
    angles = [2 * math.pi * g * math.log10(beta) for g in state["rff.gaussian"][0].tolist()]
    h = torch.tensor([math.cos(a) for a in angles] + [math.sin(a) for a in angles])
    for name in ("proj1", "proj2"):
        h = state[f"{name}.weight"] @ h + state[f"{name}.bias"]
        h = h / (1 + torch.exp(-h))
    assert torch.allclose(embed(torch.tensor([beta]))[0], h, atol=1e-5)


def test_dilation_is_over_bands():
    """Layers of dilation 1, 2 and 4 reach 2 · (1 + 2 + 4) bands and 3 frames to either side."""
    h = torch.zeros(1, 8, 41, 11)
    h[..., 20, 5] = 1
    for layer in Block(8, 8, 3).layers:
        h = layer(h)
    bands, frames = h.abs().amax(1)[0].nonzero().T
    assert (bands.min(), bands.max(), frames.min(), frames.max()) == (6, 34, 2, 8)


def test_resampling_filter():
    """The impulse response is [1, 3, 3, 1], of unit gain, over frames and over nothing else."""
    impulse = torch.zeros(1, 1, 3, 16)
    impulse[0, 0, 1, 7] = 1
    doubled = torch.zeros(3, 32)
    doubled[1, 13:17] = torch.tensor([1, 3, 3, 1]) / 4
    halved = torch.zeros(3, 8)
    halved[1, 3:5] = torch.tensor([3, 1]) / 8
    assert torch.allclose(double(impulse)[0, 0], doubled)
    assert torch.allclose(halve(impulse)[0, 0], halved)
