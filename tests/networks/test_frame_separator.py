"""The frame-wise separator and what its ConvNeXt gained: attention, marks, no noise level."""

import math

import pytest
import torch

from voxmend.networks.convnext import Attention, FrameConvNeXt
from voxmend.networks.frame_separator import FrameSeparator

SIZES = dict(channels=64, blocks=2, kernel=3, dilations=(1,), expansion=2, n_fft=64, hop=16)


def separator(**options):
    torch.manual_seed(0)
    network = FrameSeparator(**SIZES, **options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(False)


def convnext(**options):
    torch.manual_seed(0)
    network = FrameConvNeXt(**SIZES, **options)
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    return network.requires_grad_(False)


@pytest.mark.parametrize("sources", [2, 3])
def test_voices_and_rest_add_up_to_the_mixture_of_any_length(sources):
    network = separator(sources=sources)
    for length in (1, 15, 16, 1000, 1003):
        mixture = torch.randn(2, 1, length)
        parts = network.parts(mixture)
        assert parts.shape == (2, sources + 1, length)
        torch.testing.assert_close(parts.sum(1, keepdim=True), mixture, rtol=1e-4, atol=1e-4)
        assert torch.equal(network(mixture), parts[:, :sources])
    assert parts.std() > 0.1 and (parts[:, 0] - parts[:, 1]).std() > 0.1


def test_levels_and_places_in_a_batch_do_not_matter():
    network, mixture = separator(), torch.randn(4, 1, 1000)
    voices, order = network(mixture), torch.tensor([2, 0, 3, 1])
    for scale in (1e-3, 8.0):
        torch.testing.assert_close(network(scale * mixture), scale * voices, rtol=1e-3,
                                   atol=1e-3 * scale)
    torch.testing.assert_close(network(mixture[order]), voices[order], rtol=1e-3, atol=1e-4)
    assert network(torch.zeros(1, 1, 1000)).abs().max() < 1e-7


def test_voices_stand_in_the_order_of_the_last_layer_s_rows():
    """Nothing else tells them apart, so that training may take either order."""
    network, mixture = separator(), torch.randn(1, 1, 500)
    voices, leave = network.parts(mixture), network.body.leave
    for tensor in (leave.weight, leave.bias):
        residual, gain = tensor.tensor_split(2)
        for half in (residual, gain):
            rows = half.unflatten(0, (3, -1))
            rows.copy_(rows[[1, 0, 2]].clone())
    torch.testing.assert_close(network.parts(mixture), voices[:, [1, 0, 2]], rtol=1e-3, atol=1e-4)


def test_attention_is_its_equation_and_knows_no_places():
    torch.manual_seed(0)
    layer, x = Attention(128).requires_grad_(False), torch.randn(2, 9, 128)
    query, key, value = layer.project(layer.norm(x)).chunk(3, dim=-1)
    heard = []
    for head in (slice(0, 64), slice(64, 128)):
        match = query[..., head] @ key[..., head].transpose(1, 2) / math.sqrt(64)
        heard.append(match.softmax(-1) @ value[..., head])
    expected = x + layer.scale * layer.join(torch.cat(heard, -1))
    torch.testing.assert_close(layer(x), expected)
    order = torch.randperm(9)
    torch.testing.assert_close(layer(x[:, order]), expected[:, order])


@pytest.mark.parametrize("attention, blocks", [(0, []), (1, ["0", "1"]), (2, ["1"])])
def test_only_attention_hears_the_whole(attention, blocks):
    network = convnext(attention=attention)
    assert list(network.attention) == blocks
    x = torch.randn(1, 1, 2000)
    changed = x.clone()
    changed[..., 1500:] = torch.randn(500)
    noise = torch.zeros(1)
    difference = (network(x, noise) - network(changed, noise)).abs()[..., :1000].max()
    if attention:
        assert network.receptive_field is None and difference > 1e-5
    else:
        assert network.receptive_field == 2 * 16 + 64 and difference < 1e-6


def test_marks_reach_the_frame_around_which_they_lie():
    network = convnext(marks=2)
    assert network.enter.in_features == convnext().enter.in_features + 2 * 16
    marks = torch.arange(200.0).view(1, 2, 100)
    frames = network._by_frame(marks)
    spectrum = network.stft.forward(torch.zeros(1, 1, 100))
    assert frames.shape == (1, spectrum.shape[2], 32)
    for k in range(1, 6):  # of which the middle is sample 16k
        assert torch.equal(frames[0, k].view(2, 16), marks[0, :, 16 * k - 8:16 * k + 8])


def test_marks_that_are_not_given_are_zeros():
    network, x, noise = convnext(marks=1), torch.randn(2, 1, 1000), torch.zeros(2)
    marks = torch.zeros(2, 1, 1000)
    plain = network(x, noise)
    torch.testing.assert_close(network(x, noise, marks), plain)
    marks[..., 500] = 1
    difference = (network(x, noise, marks) - plain).abs().amax((0, 1)).nonzero()
    reach = network.receptive_field + network.stft.hop
    assert 500 - reach < difference.min() < 500 < difference.max() < 500 + reach


def test_without_a_noise_level_nothing_is_modulated():
    network = convnext(conditioned=False)
    names = [name for name, _ in network.named_parameters()]
    assert not any("embed" in name or "modulate" in name for name in names)
    assert network(torch.randn(1, 1, 300), None).shape == (1, 1, 300)
