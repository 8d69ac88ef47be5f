import pytest
import torch
from torch import nn

from voxmend.networks.convnext import convolved


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
