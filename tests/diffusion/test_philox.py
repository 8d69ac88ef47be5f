"""Noise of a counter: published vectors, normal, and the same for whoever asks for a position."""

import pytest
import torch

from voxmend.diffusion import chunked
from voxmend.diffusion.chunked import NoiseStream
from voxmend.diffusion.philox import WORD, normal, philox

# Random123's kat_vectors of philox4x32, ten rounds: counter, key, words.
VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((WORD,) * 4, (WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1))]


@pytest.fixture
def on_device(monkeypatch):
    """Noise as devices draw it that are no CPU."""
    monkeypatch.setattr(chunked, "HOST", set())


@pytest.mark.parametrize("counter, key, words", VECTORS)
def test_the_words_are_the_published_ones(counter, key, words):
    found = philox(tuple(map(torch.tensor, counter)), tuple(map(torch.tensor, key)))
    assert tuple(map(int, found)) == words


def test_noise_is_white_and_normal():
    noise = normal(torch.tensor([1, 2]), torch.tensor([0, 7]), 200_000, 2, 3).flatten(0, 1)
    torch.testing.assert_close(torch.cov(noise), torch.eye(4), rtol=0, atol=0.015)
    assert noise.mean(1).abs().max() < 0.01
    torch.testing.assert_close(noise.pow(4).mean(1), torch.full((4,), 3.0), rtol=0, atol=0.08)
    lag = (noise[:, 1:] * noise[:, :-1]).mean(1)
    assert lag.abs().max() < 0.01 and 4 < noise.abs().max() < 6.7


@pytest.mark.parametrize("start", [0, 1, 4099, 2**33 + 3])
def test_noise_belongs_to_a_position(on_device, start):
    whole, late = NoiseStream(2**40 + 5, start), NoiseStream(2**40 + 5, start + 301)
    like = torch.zeros(1, 1, 1000)
    for _ in range(2):
        one, other = whole(like), late(like)
        assert torch.equal(one[..., 301:], other[..., :-301])
    assert not torch.equal(one, NoiseStream(2**40 + 5, start)(like))  # another draw
    assert not torch.equal(one, NoiseStream(5, start)(like))


def test_items_have_seeds_and_positions_of_their_own(on_device):
    check_items()


def test_items_have_their_own_on_a_cpu_as_well():
    check_items()


def check_items():
    like = torch.zeros(3, 2, 500, dtype=torch.float64)
    noise = NoiseStream([3, 2**70, 3], [10, 20, 30], shared=False)(like)
    for item, (seed, start) in enumerate([(3, 10), (2**70, 20), (3, 30)]):
        assert torch.equal(noise[item:item + 1], NoiseStream(seed, start, False)(like[:1]))
    assert not torch.equal(noise[:, 0], noise[:, 1]) and noise.dtype == torch.float64
    one, other, _ = NoiseStream([3, 3, 4], [10, 10, 10])(like)
    assert torch.equal(one, other) and torch.equal(one[0], one[1])
