"""DDPM's U-Net against closed forms and its published size."""

import math

import pytest
import torch

from voxmend.networks.unet import Attention, Block, DDPMUNet, Parts, sinusoids

TINY = dict(channels=8, multiples=(1, 2), blocks=1, attention=(2,), heads=2, groups=4)


def randomised(network):
    """With random weights where training starts from zeros."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_published_size():
    with torch.device("meta"):
        network = DDPMUNet(**DDPMUNet.PRESETS["paper"])
    assert sum(p.numel() for p in network.parameters()) == 164_303_618
    assert len(network.state_dict()) == 612 and network.multiple == 32


def test_separable_convolutions_have_the_weights_that_the_seed_counts():
    """W·H·d_in + d_in·d_out, and biases, instead of W·H·d_in·d_out."""
    sizes = {}
    for separable in (False, True):
        conv = Parts("silu", separable, 4, 1, False).conv(12, 20)
        sizes[separable] = sum(p.numel() for p in conv.parameters())
    assert sizes == {False: 9 * 12 * 20 + 20, True: 9 * 12 + 12 + 12 * 20 + 20}


def test_separable_convolution_is_a_standard_one_of_rank_one():
    torch.manual_seed(0)
    depthwise, pointwise = Parts("silu", True, 4, 1, False).conv(4, 6)
    x = torch.randn(1, 4, 5, 7)
    kernel = torch.einsum("oi,ihw->oihw", pointwise.weight[..., 0, 0], depthwise.weight[:, 0])
    bias = pointwise.weight[..., 0, 0] @ depthwise.bias + pointwise.bias
    torch.testing.assert_close(pointwise(depthwise(x)),
                               torch.nn.functional.conv2d(x, kernel, bias, padding=1))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_weighs_values_by_a_softmax_over_all_positions(heads):
    torch.manual_seed(0)
    attention = randomised(Attention(8, Parts("silu", False, 4, heads, False)))
    x, size = torch.randn(2, 8, 3, 5), 8 // heads
    rows = attention.qkv(attention.norm(x).flatten(2))
    seen = []
    for head in range(heads):  # q, k and v of a head stand together
        q, k, v = rows[:, 3 * size * head:3 * size * (head + 1)].split(size, dim=1)
        weights = (q.mT @ k / math.sqrt(size)).softmax(-1)
        seen.append(v @ weights.mT)
    torch.testing.assert_close(attention(x), x + attention.leave(torch.cat(seen, 1)).view_as(x))


def test_steps_are_told_by_cosines_then_sines():
    out = sinusoids(torch.tensor([0, 7]), 4)
    expected = [math.cos(7), math.cos(7 / 100), math.sin(7), math.sin(7 / 100)]
    torch.testing.assert_close(out, torch.tensor([[1.0, 1, 0, 0], expected]))


@pytest.mark.parametrize("activation, function", [
    ("silu", lambda x: x * x.sigmoid()), ("relu", lambda x: x.clamp(min=0)),
    ("gelu", lambda x: x * (1 + torch.erf(x / math.sqrt(2))) / 2)])
def test_block_adds_the_time_after_its_first_convolution(activation, function):
    block = randomised(Block(4, 8, 6, Parts(activation, False, 2, 1, False)))
    x, time = torch.randn(2, 4, 5, 5), torch.randn(2, 6)
    h = block.conv1(function(block.norm1(x))) + block.time(time)[:, :, None, None]
    h = block.conv2(function(block.norm2(h)))
    torch.testing.assert_close(block(x, time), block.shortcut(x) + h)


@pytest.mark.parametrize("config", [
    {}, {"separable": True}, {"scale_shift": False, "activation": "relu"}, {"compression": 0.5},
    {"attention": ()}, {"multiples": (1, 2, 3), "blocks": 2}])
def test_every_weight_learns_and_no_item_heeds_another(config):
    network = randomised(DDPMUNet(**TINY | config))
    x, step = torch.randn(2, 2, 16, 24), torch.tensor([3, 40])
    both = network(x, step)
    assert both.shape == x.shape
    torch.testing.assert_close(network(x[1:], step[1:]), both[1:], rtol=1e-3, atol=1e-4)
    both.square().mean().backward()
    silent = [n for n, p in network.named_parameters() if not p.grad.abs().max() > 1e-9]
    assert not silent


def test_the_network_sees_compressed_bins():
    """At exponent p bins that are c times as loud are seen as c^p times as loud."""
    network, seen = DDPMUNet(**TINY, compression=0.5), []
    network.down[0][0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(1, 2, 8, 8) + 1
    for gain in (1, 16):
        network(gain * x, torch.tensor([0]))
    torch.testing.assert_close(seen[1], 4 * seen[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(seen[0] * x.square().sum(1, keepdim=True) ** 0.25, x)


def test_unknown_activation():
    with pytest.raises(ValueError, match="tanh.*silu, relu, gelu"):
        DDPMUNet(activation="tanh")
