"""Random numbers that are a function of a counter, by tensor operations on any device.

A generator with a state draws one number after another; this one draws any of them, all at once.
"""

import math

import torch
from torch import Tensor

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57  # both above 2³¹
WEYL = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF


def _product(a: Tensor, b: int) -> tuple[Tensor, Tensor]:
    """High and low word of a·b = a·(b − 2³²) + a·2³², whose first product an int64 holds."""
    part = a * (b - (1 << 32))
    return ((part >> 32) + a) & WORD, part & WORD


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Four random words of four words of counter and two of key: Philox4x32 of ten rounds.

    Shape: int64 with values of 32 bits, which broadcast.

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = _product(c0, MULTIPLIERS[0])
        high1, low1 = _product(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def normal(seeds: Tensor, starts: Tensor, length: int, channels: int, draw: int) -> Tensor:
    """White Gaussian noise of positions: the same for whoever asks for the same ones.

    Words become normal by Box and Muller's √(−2 ln u) (cos 2πv, sin 2πv).

    Args:
        seeds: int64, a key of 64 bits for each item.
        starts: int64, position of the first sample of each item.
        length: samples.
        draw: another one, other noise.

    Shape: seeds and starts `[B]` to `[B, channels, length]`, float32 on their device.
    """
    device = seeds.device
    first = (starts // 4)[:, None, None]
    blocks = first + torch.arange(-(-(length + 3) // 4), device=device)
    channel = torch.arange(channels, device=device)[None, :, None]
    key = tuple(((seeds >> shift) & WORD)[:, None, None] for shift in (0, 32))
    words = philox((blocks & WORD, blocks >> 32, channel, torch.full_like(channel, draw)),
                   (key[0], key[1]))
    u0, u1, u2, u3 = ((word.expand(len(seeds), channels, -1).float() + 0.5) / 2**32
                      for word in words)
    pairs = []
    for u, v in ((u0, u1), (u2, u3)):
        radius = (-2 * u.log()).abs().sqrt()
        pairs += [radius * (2 * math.pi * v).cos(), radius * (2 * math.pi * v).sin()]
    noise = torch.stack(pairs, -1).flatten(-2)
    place = (starts % 4)[:, None] + torch.arange(length, device=device)
    return noise.gather(2, place[:, None].expand(-1, channels, -1))
