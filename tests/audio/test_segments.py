"""Long signals: exactness of chunks, losslessness of segments, order of voices, noise by place."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch

from voxmend.audio import segments
from voxmend.audio.segments import Aligner, ChunkedDenoiser, NoiseStream, process
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


# Segments

SEGMENT, OVERLAP = 1000, 200


def in_blocks(signal, size):
    return (signal[:, start:start + size] for start in range(0, signal.shape[1], size))


def ramp(samples, channels=2):
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 10, 199, 999, 1000, 1001, 1199, 1200, 1201, 1799, 1800,
                                     1801, 2000, 2001, 7777, 12345])
@pytest.mark.parametrize("block", [1, 333, 100_000])
def test_identity_loses_nothing(samples, block):
    signal = ramp(samples)
    lengths = []

    def identity(chunk, start):
        np.testing.assert_array_equal(chunk, signal[:, start:start + chunk.shape[1]])
        lengths.append(chunk.shape[1])
        return chunk

    out = list(process(in_blocks(signal, block), identity, SEGMENT, OVERLAP))
    np.testing.assert_array_equal(np.concatenate(out, axis=1), signal)
    assert all(length == SEGMENT for length in lengths[:-1])
    assert lengths[-1] <= SEGMENT + OVERLAP
    assert len(lengths) == 1 if samples <= SEGMENT + OVERLAP else lengths[-1] > 2 * OVERLAP


def test_an_overlap_of_zero_is_allowed():
    out = process([ramp(5555)], lambda chunk, start: chunk, SEGMENT, 0)
    np.testing.assert_array_equal(np.concatenate(list(out), axis=1), ramp(5555))


def test_no_samples_give_no_blocks():
    assert list(process([], lambda chunk, start: chunk, SEGMENT, OVERLAP)) == []


def test_segments_are_cross_faded_in_the_middle_of_the_overlap():
    labels = process([ramp(4000, 1)], lambda chunk, start: np.full_like(chunk, start // 800),
                     SEGMENT, OVERLAP)
    label = np.concatenate(list(labels), axis=1)[0]
    for k in (1, 2, 3):
        fade = label[800 * k:800 * k + OVERLAP]
        assert (fade[:50] == k - 1).all() and (fade[-50:] == k).all()
        assert (np.diff(fade[50:-50]) > 0).all()
        assert (label[800 * (k - 1) + OVERLAP:800 * k] == k - 1).all()


@pytest.mark.parametrize("overlap", [0, 1, 2, 7, 200])
def test_crossfade_weights_of_both_segments_sum_to_one(overlap):
    weight = segments.crossfade(overlap)
    np.testing.assert_allclose(weight + weight[::-1], 1, atol=1e-6)


def test_a_function_may_change_its_chunk():
    def halve(chunk, start):
        chunk *= 0.5
        return chunk

    out = process([ramp(5000)], halve, SEGMENT, OVERLAP)
    np.testing.assert_array_equal(np.concatenate(list(out), axis=1), 0.5 * ramp(5000))


@pytest.mark.parametrize("ratio", [2, Fraction(1, 3), Fraction(160, 441), Fraction(441, 160)])
@pytest.mark.parametrize("samples", [5, 1001, 7777, 12345])
def test_another_output_rate(samples, ratio):
    def positions(n, start):
        return (np.arange(math.floor(n * ratio + Fraction(1, 2)))[None] + float(start * ratio))

    def function(chunk, start):
        assert (start * ratio).denominator == 1
        return positions(chunk.shape[1], start)

    out = process(in_blocks(ramp(samples), 500), function, SEGMENT, OVERLAP, Fraction(ratio))
    np.testing.assert_allclose(np.concatenate(list(out), axis=1), positions(samples, 0))


def test_starts_are_multiples():
    starts = []
    list(process([ramp(9999)], lambda chunk, start: starts.append(start) or chunk, SEGMENT,
                 OVERLAP, multiple=128))
    assert len(starts) > 5 and not any(start % 128 for start in starts)


def test_function_may_change_the_number_of_channels():
    out = process([ramp(5000)], lambda chunk, start: chunk[:1], SEGMENT, OVERLAP)
    np.testing.assert_array_equal(np.concatenate(list(out), axis=1), ramp(5000)[:1])


def test_progress_ends_at_the_end():
    seen = []
    list(process([ramp(5000)], lambda chunk, start: chunk, SEGMENT, OVERLAP, progress=seen.append))
    assert seen == sorted(seen) and seen[-1] == 5000


@pytest.mark.parametrize("segment, overlap", [(1000, 501), (0, 0), (100, -1)])
def test_impossible_segments_are_refused(segment, overlap):
    with pytest.raises(ValueError, match="overlap"):
        list(process([ramp(10)], lambda chunk, start: chunk, segment, overlap))


def test_a_function_that_loses_samples_is_refused():
    with pytest.raises(ValueError, match="expected"):
        list(process([ramp(10)], lambda chunk, start: chunk[:, 1:], SEGMENT, OVERLAP))


def test_memory_does_not_grow_with_length():
    def peak(blocks):
        tracemalloc.start()
        signal = (np.zeros((1, 5000), np.float32) for _ in range(blocks))
        for _ in process(signal, lambda chunk, start: chunk, 50_000, 5000):
            pass
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    assert peak(800)[0] < 1.2 * peak(40)[0]


# The order of voices

@pytest.mark.parametrize("voices, channels", [(2, 1), (2, 2), (3, 2)])
def test_voices_keep_their_order(voices, channels):
    """Shuffled in every segment and channel, to the end."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(voices, 1, 9000)) * np.linspace(1, 0.3, channels)[:, None]
    align = Aligner(voices, channels, OVERLAP)

    def shuffled(chunk, start):
        out = np.empty((voices, channels, chunk.shape[1]))
        for channel in range(channels):
            out[:, channel] = true[rng.permutation(voices), channel,
                                   start:start + chunk.shape[1]]
        out = out.reshape(voices * channels, -1)
        return out[align(out)]

    found = np.concatenate(list(process([true.sum(0)], shuffled, SEGMENT, OVERLAP)), axis=1)
    found = found.reshape(true.shape)
    first = [next(k for k in range(voices) if np.allclose(voice, true[k])) for voice in found]
    assert sorted(first) == list(range(voices))


def test_where_one_voice_pauses_the_other_tells_the_order():
    """By where its larger share is, the rest having leaked."""
    voice = np.random.default_rng(0).normal(size=500)
    align = Aligner(2, 1, 200)
    assert align(np.stack([voice, 0 * voice])) == [0, 1]
    later = np.concatenate([voice[-200:], voice[:300]])
    assert align(np.stack([0.1 * later, 0.9 * later])) == [1, 0]


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
