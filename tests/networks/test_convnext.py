import math

import pytest
import torch
from torch import nn

from voxmend.networks.convnext import FrameConvNeXt, convolved


@pytest.mark.parametrize("frames", [1, 7, 24, 29])
@pytest.mark.parametrize("kernel, dilation", [(7, 1), (7, 4), (3, 8), (3, 40)])
def test_a_convolution_without_dilation_is_the_one_with(frames, kernel, dilation):
    torch.manual_seed(0)
    depthwise = nn.Conv2d(6, 6, (1, kernel), groups=6)
    dilated = nn.Conv1d(6, 6, kernel, padding="same", dilation=dilation, groups=6)
    dilated.load_state_dict({"weight": depthwise.weight[:, :, 0], "bias": depthwise.bias})
    x = torch.randn(2, frames, 6, requires_grad=True)
    found, expected = convolved(x, depthwise, dilation), dilated(x.mT).mT
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)


def drawn_network(**changes):
    torch.manual_seed(0)
    network = FrameConvNeXt(16, 2, 3, (1,), 2, inputs=2, log_magnitude=True, **changes).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network


def test_an_equaliser_of_one_gain_is_another_level():
    """H⁻¹ f(H x) of H = 2, but of a logarithm that floors."""
    x, noise = torch.randn(2, 2, 4000), torch.tensor([0.1, -0.3])
    twice = drawn_network(equaliser=[(0, 20 * math.log10(2)), (1, 20 * math.log10(2))])
    torch.testing.assert_close(twice(x, noise), drawn_network()(2 * x, noise) / 2,
                               rtol=1e-4, atol=1e-4)


def test_an_equaliser_leaves_what_has_no_gain():
    """Networks that differ above 4 kHz alone hear what lies below alike, and add alike there."""
    spectrum = torch.fft.rfft(torch.randn(1, 2, 8000)) * (torch.arange(4001) < 1500)
    low, noise = torch.fft.irfft(spectrum) * torch.hann_window(8000), torch.zeros(1)
    networks = [drawn_network(), drawn_network(equaliser=[(0.5, 0.0), (0.6, -20.0)])]
    decibels = 20 * networks[1].gains[:, 0].log10()
    torch.testing.assert_close(decibels[[0, 128, 141, 256]],
                               torch.tensor([0.0, 0.0, -200 * (141 / 256 - 0.5), -20.0]))
    assert not torch.allclose(*[network(low, noise) for network in networks], atol=1e-3)
    for network in networks:
        for weights in (network.leave.weight, network.leave.bias):
            weights.data.unflatten(0, (3, 257, 2))[0, 128:] = 0  # of the residual
    torch.testing.assert_close(*[network(low, noise) for network in networks],
                               rtol=1e-4, atol=1e-4)
