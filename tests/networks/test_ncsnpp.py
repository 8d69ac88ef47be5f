"""NCSN++ against SciPy's resampling, closed forms and its published sizes."""

import numpy as np
import pytest
import torch
from scipy.signal import upfirdn

from voxmend.models.macs import macs_per_second
from voxmend.networks.ncsnpp import Attention, Fourier, NCSNpp, double, halve


@pytest.fixture(scope="module")
def network():
    """A small one, with random weights where training starts from zeros."""
    torch.manual_seed(0)
    network = NCSNpp(**NCSNpp.PRESETS["small"])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_resampling_is_scipys():
    x, taps = np.random.default_rng(0).normal(size=(2, 3, 8, 12)), np.array([1, 3, 3, 1]) / 8
    down, up = x, x
    for axis, size in ((2, 8), (3, 12)):
        down = upfirdn(taps, down, 1, 2, axis).take(range(1, size // 2 + 1), axis)
        up = upfirdn(2 * taps, up, 2, 1, axis).take(range(1, 2 * size + 1), axis)
    torch.testing.assert_close(halve(torch.from_numpy(x)), torch.from_numpy(down))
    torch.testing.assert_close(double(torch.from_numpy(x)), torch.from_numpy(up))


def test_attention_weighs_values_by_a_softmax_over_all_positions():
    torch.manual_seed(0)
    attention = Attention(8)
    torch.nn.init.normal_(attention.leave.weight)
    x = torch.randn(2, 8, 3, 5)
    h = attention.norm(x).flatten(2).mT  # [B, positions, channels]
    q, k, v = attention.query(h), attention.key(h), attention.value(h)
    seen = attention.leave((q @ k.mT / 8**0.5).softmax(-1) @ v).mT.reshape(x.shape)
    torch.testing.assert_close(attention(x), (x + seen) / 2**0.5)


@pytest.mark.parametrize("length", [1, 127, 128, 3000])
@pytest.mark.parametrize("exponent, factor", [(0.5, 0.15), (0.3, 1.0), (1.0, 2.0)])
def test_compression_has_an_exact_inverse(length, exponent, factor):
    """The network's input is factor·|X|^α at X's angle, and `expand` gives the signal back."""
    network = NCSNpp(channels=4, exponent=exponent, factor=factor)
    x = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(0)).double()
    network = network.double()
    real, imaginary = network.compress(x).chunk(2, dim=1)
    compressed = torch.complex(real, imaginary)
    torch.testing.assert_close(network.expand(network.compress(x), length), x)
    louder = torch.complex(*network.compress(16 * x).chunk(2, dim=1))
    torch.testing.assert_close(louder, 16**exponent * compressed)
    middle = torch.nn.functional.pad(x, (255, 255))[0, 0, :510] * torch.hann_window(510).double()
    bins = torch.fft.rfft(middle)  # of the first frame
    torch.testing.assert_close(compressed[0, 0, :, 0].abs(), factor * bins.abs()**exponent,
                               rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("preset, entries", [("paper", 65_623_366), ("half", 16_456_390)])
def test_published_sizes(preset, entries):
    """The release counts its Fourier frequencies, which are not trained, as parameters."""
    with torch.device("meta"):
        state = NCSNpp(**NCSNpp.PRESETS[preset]).state_dict()
    assert sum(t.numel() for t in state.values()) == entries and len(state) == 647


def test_published_cost():
    with torch.device("meta"):
        assert macs_per_second(NCSNpp()) == pytest.approx(130e9, rel=0.05)


@pytest.mark.parametrize("sources, length", [(2, 100), (3, 8192), (2, 9000)])
def test_any_length_and_no_item_heeds_another(sources, length):
    torch.manual_seed(0)
    network = NCSNpp(sources, channels=8, blocks=1)
    x, t = torch.randn(2, sources + 1, length), torch.tensor([0.03, 1.0])
    both = network(x, t)
    assert both.shape == (2, sources, length) and both.isfinite().all()
    torch.testing.assert_close(network(x[1:], t[1:]), both[1:], rtol=1e-3, atol=1e-4)


def test_time_scales_the_output(network):
    """What the U-Net makes is divided by t before its last layer: with no bias, and blind to t,
    the score's compressed spectrum is, too, so the score itself is divided by t²."""
    blind = NCSNpp(**NCSNpp.PRESETS["small"])
    blind.load_state_dict(network.state_dict())
    with torch.no_grad():
        blind.unet.leave.bias.zero_()
        next(m for m in blind.modules() if isinstance(m, Fourier)).frequencies.zero_()
        x = torch.randn(1, 3, 4000)
        slow, fast = (blind(x, torch.tensor([t])) for t in (0.8, 0.2))
    torch.testing.assert_close(fast, 16 * slow, rtol=1e-3, atol=1e-3 * fast.abs().max().item())


def test_every_weight_learns(network):
    network.zero_grad()
    network(torch.randn(2, 3, 9000), torch.tensor([0.3, 0.6])).square().mean().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # a constant added to all keys cancels in the softmax, but for rounding
    assert not [n for n in silent if not n.endswith("key.bias")]


def test_bins_must_halve_into_every_level():
    with pytest.raises(ValueError, match="257 of n_fft 512"):
        NCSNpp(n_fft=512)
