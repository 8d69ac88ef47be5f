import pytest
import torch
from torch import nn

from voxmend.models import macs
from voxmend.networks.band_convnext import BandConvNeXt, Block


def drawn_network(**changes):
    """A small network with every parameter random, those initialised with zeros too."""
    torch.manual_seed(0)
    network = BandConvNeXt(**{"channels": 8, "blocks": 2, "kernel": (3, 3), "dilations": (1, 2),
                              "n_fft": 64, "hop": 16, "width": 4} | changes).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network


@pytest.mark.parametrize("frames", [1, 7, 24])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_block_has_a_dilation_over_frames(frames, dilation):
    torch.manual_seed(0)
    block, x = Block(6, (5, 3), dilation, 2), torch.randn(2, frames, 9, 6)
    dilated = nn.Conv2d(6, 6, (5, 3), padding="same", dilation=(dilation, 1), groups=6)
    dilated.load_state_dict(block.depthwise.state_dict())
    found = block(x)
    block.depthwise, block.dilation = dilated, 1
    torch.testing.assert_close(found, block(x))


@pytest.mark.parametrize("length", [1, 100, 4096])
def test_an_untrained_network_says_nothing(length):
    x = torch.randn(3, 2, length)
    assert torch.equal(BandConvNeXt()(x, torch.zeros(3)), torch.zeros(3, 1, length))


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_gains_alone_filter_both_signals(reach):
    """A gain of 1 for a signal's own frame gives it back, but for half the sample rate."""
    network = BandConvNeXt(channels=4, blocks=1, reach=reach)
    gains = network.leave.bias.data.view(network.width, 1 + 2 * (2 * reach + 1), 2)
    gains[:, 1 + reach, 0], gains[:, 2 + 3 * reach, 0] = 0.5, 0.25
    time = torch.arange(16000) / 16000
    x = torch.stack([torch.sin(2 * torch.pi * f * time) for f in (440.0, 3000.0)])[None]
    found = network(x, torch.zeros(1))
    torch.testing.assert_close(found, 0.5 * x[:, :1] + 0.25 * x[:, 1:], atol=1e-3, rtol=0)


def test_a_sample_depends_on_what_is_within_reach():
    network, x = drawn_network(), torch.randn(1, 2, 2000)
    other, place = x.clone(), 1000
    other[..., place] += 1
    with torch.no_grad():
        moved = (network(other, torch.zeros(1)) - network(x, torch.zeros(1))).abs()[0, 0]
    near = torch.nonzero(moved > 1e-6)[:, 0]
    reach = network.receptive_field
    assert place - reach <= near.min() and near.max() <= place + reach
    assert near.max() - near.min() > reach  # which is not much too long


def test_it_has_a_cost():
    assert macs.cost("BandConvNeXt", {}) == (
        "0.36 M parameters, 1.38 GMAC per second of audio and call")
