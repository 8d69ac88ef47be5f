"""Chunks of finite reach are exact, and noise belongs to a position."""


import pytest
import torch

from voxmend.diffusion.chunked import ChunkedDenoiser, NoiseStream
from voxmend.diffusion.denoiser import Denoiser, EDMDenoiser
from voxmend.networks.convnext import FrameConvNeXt


@pytest.fixture(scope="module", params=[(64, 16), (512, 128)], ids=["hop 16", "hop 128"])
def denoiser(request):
    """A small network with every parameter random, those initialised with zeros too."""
    torch.manual_seed(0)
    n_fft, hop = request.param
    network = FrameConvNeXt(channels=16, blocks=3, kernel=5, n_fft=n_fft, hop=hop)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return EDMDenoiser(network, sample_rate=16000).eval()


def chunked(denoiser, hops=20):
    return ChunkedDenoiser(denoiser, seconds=hops * denoiser.hop / denoiser.sample_rate)


# Chunked denoising

@pytest.mark.parametrize("length", [1, 300, 5000, 9999, 10240, 10241, 16007])
@pytest.mark.parametrize("sigma", [0.1, torch.tensor([0.02, 0.5]),
                                   torch.tensor([[0.02, 0.1], [0.5, 1.5]])],
                         ids=["one sigma", "per item", "per channel"])
def test_chunks_equal_the_whole(denoiser, length, sigma):
    x = 0.1 * torch.randn(2, 2, length, generator=torch.Generator().manual_seed(length))
    with torch.no_grad():
        whole, pieces = denoiser(x, sigma), chunked(denoiser)(x, sigma)
    assert pieces.shape == x.shape
    assert (whole - pieces).abs().max() < 1e-5 * whole.abs().max()


def test_a_shorter_halo_would_not_do(denoiser):
    x = 0.1 * torch.randn(1, 1, 16000, generator=torch.Generator().manual_seed(0))
    short = chunked(denoiser)
    short.halo = 4 * denoiser.hop
    with torch.no_grad():
        error = (denoiser(x, 0.1) - short(x, 0.1)).abs().max()
    assert error > 1e-4


def test_gradients_pass_through_chunks(denoiser):
    x = 0.1 * torch.randn(1, 1, 5000, generator=torch.Generator().manual_seed(0))
    gradients = []
    for model in (denoiser, chunked(denoiser)):
        leaf = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(model(leaf, 0.1).square().sum(), leaf)[0])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 * gradients[0].abs().max().item())


def test_chunked_denoiser_describes_the_one_it_wraps(denoiser):
    wrapped = chunked(denoiser)
    for name in ("sample_rate", "sigma_min", "sigma_max", "sigma_data", "receptive_field", "hop"):
        assert getattr(wrapped, name) == getattr(denoiser, name)
    assert wrapped.halo % denoiser.hop == 0 and wrapped.chunk == 20 * denoiser.hop


def test_an_unbounded_receptive_field_is_refused():
    with pytest.raises(ValueError, match="receptive field"):
        ChunkedDenoiser(Denoiser())


# Noise by position

def test_overlapping_segments_see_the_same_noise():
    early, late = NoiseStream(5), NoiseStream(5, start=30_000)
    for _ in range(3):
        a, b = early(torch.zeros(1, 2, 50_001)), late(torch.zeros(1, 2, 40_000))
        assert torch.equal(a[..., 30_000:], b[..., :20_001])


def test_noise_is_standard_normal_and_independent():
    stream, like = NoiseStream(5), torch.zeros(1, 1, 1_000_000)
    draws = torch.cat([stream(like)[0], stream(like)[0], NoiseStream(6)(like)[0]])
    draws = torch.cat([draws, draws[:1].roll(1 << 14, dims=1)])
    assert draws.mean(1).abs().max() < 4e-3
    torch.testing.assert_close(torch.cov(draws), torch.eye(4), rtol=0, atol=7e-3)
    kurtosis = draws.pow(4).mean(1)
    torch.testing.assert_close(kurtosis, torch.full((4,), 3.0), rtol=0, atol=0.05)


def test_batch_neighbours_do_not_matter():
    like = torch.zeros(1, 1, 20_000)
    together = NoiseStream([3, 4])(like.expand(2, 1, -1))
    alone = torch.cat([NoiseStream(seed)(like) for seed in (3, 4)])
    assert torch.equal(together, alone) and not torch.equal(together[0], together[1])


def test_channels_share_noise_unless_told_otherwise():
    like = torch.zeros(1, 2, 20_000)
    left, right = NoiseStream(3)(like)[0]
    assert torch.equal(left, right)
    left, right = NoiseStream(3, shared=False)(like)[0]
    assert torch.equal(left, NoiseStream(3)(like)[0, 0])
    assert (left * right).mean().abs() < 0.03


def test_noise_takes_shape_and_dtype_of_its_argument():
    noise = NoiseStream(2**70)(torch.zeros(1, 3, 17, dtype=torch.float64))
    assert noise.shape == (1, 3, 17) and noise.dtype == torch.float64


def test_one_seed_for_every_item():
    with pytest.raises(ValueError, match="batch of 2"):
        NoiseStream(1)(torch.zeros(2, 1, 10))
