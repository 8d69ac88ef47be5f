"""A noisy recording and what an enhancer made of it, read side by side."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from .arrays import resample
from .errors import AudioError
from .reading import Recording
from .segments import process

LONGEST_DELAY = 0.02  # seconds that are made good
LENGTHS = 0.1  # seconds by which the lengths may differ
REACH = 0.1  # seconds of delay that are looked for
ALIKE = 0.1  # correlation, at the least, of a recording with its speech


def side_by_side(first: Iterable[np.ndarray], second: Iterable[np.ndarray],
                 delay: int = 0) -> Iterator[np.ndarray]:
    """Blocks of both, the second `delay` samples earlier, cut or padded to the first's length.

    Shape: blocks `[C, n]` and `[C, m]` to `[2C, n]`, as the first has them.
    """
    second, rest, drop = iter(second), None, max(delay, 0)
    for block in first:
        if rest is None:
            rest = np.zeros((len(block), max(-delay, 0)), np.float32)
        while rest.shape[1] < block.shape[1] + drop:
            blank = np.zeros((len(block), block.shape[1] + drop), np.float32)
            rest = np.concatenate([rest, next(second, blank)], axis=1)
        rest, drop = rest[:, drop:], 0
        yield np.concatenate([block, rest[:, :block.shape[1]]])
        rest = rest[:, block.shape[1]:]


def correlate(blocks: Iterable[np.ndarray], reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Σ_t a(t) b(t + τ) of two recordings, summed over their channels, and the energy of each.

    Products across the borders of blocks are left out.

    Shape: blocks `[2C, n]` to `[2·reach + 1]`, for τ from −reach, and `[2]`.
    """
    products, energies = np.zeros(2 * reach + 1), np.zeros(2)
    for block in blocks:
        size = max(block.shape[1] + reach, 2 * reach + 1)  # so that nothing comes round
        one, other = np.split(np.fft.rfft(block, size), 2)
        whole = np.fft.irfft((one.conj() * other).sum(0), size)
        products += np.roll(whole, reach)[:2 * reach + 1]
        energies += np.square(block, dtype=np.float64).reshape(2, -1).sum(1)
    return products, energies


class Pair:
    """A noisy recording and the enhanced one as one reader of twice the channels, aligned.

    The enhanced one is brought to the noisy one's rate, moved by its delay and cut or padded to the
    noisy one's length.

    Args:
        noisy, enhanced: `Reader` or `ArrayReader`.
        aligned: they are known to belong together and to begin together.

    Attributes:
        sample_rate, channels, frames: of the noisy one.
        delay: of the enhanced one, samples at that rate.

    Raises AudioError, which names both, for recordings of different numbers of channels, lengths or
    beginnings, or that have nothing to do with each other.
    """

    def __init__(self, noisy: Recording, enhanced: Recording, aligned: bool = False):
        self.noisy, self.enhanced = noisy, enhanced
        self.sample_rate, self.channels = noisy.sample_rate, noisy.channels
        self.frames = noisy.frames
        names = f"{enhanced.path}: made of {noisy.path}?"
        if enhanced.channels != noisy.channels:
            raise AudioError(f"{names} Its channels are {enhanced.channels}, not "
                                   f"{noisy.channels}: enhance each, or mix both down")
        lengths = [r.frames / r.sample_rate for r in (noisy, enhanced)]
        if abs(lengths[0] - lengths[1]) > LENGTHS:
            raise AudioError(f"{names} It lasts {lengths[1]:.2f} s, that one {lengths[0]:.2f}"
                                   " s: cut them alike")
        self.delay = 0
        self._measure(names, aligned)

    def _measure(self, names: str, aligned: bool) -> None:
        reach = round(REACH * self.sample_rate)
        products, energies = correlate(self.blocks(), reach)
        if aligned or not energies.all() or self.frames <= reach:
            return  # silence and a click tell nothing
        products /= np.sqrt(energies.prod())
        best = int(np.abs(products).argmax())
        if abs(products[best]) < ALIKE:
            raise AudioError(f"{names} They hardly have anything in common (correlation "
                                   f"{products[best]:.2f}): name a recording and its enhancement")
        if products[best] < 0:
            raise AudioError(f"{names} Its sign is reversed: turn it round")
        if products[best] < 1.01 * products[reach]:
            return  # no better than where it is
        self.delay = best - reach
        if abs(self.delay) > LONGEST_DELAY * self.sample_rate:
            raise AudioError(f"{names} It begins {abs(self.delay) / self.sample_rate:.3f} s "
                                   f"{'later' if self.delay > 0 else 'earlier'}: cut them alike")

    def _at_rate(self) -> Iterable[np.ndarray]:
        """The enhanced one's blocks at the noisy one's rate."""
        theirs, ours = self.enhanced.sample_rate, self.sample_rate
        if theirs == ours:
            return self.enhanced.blocks()
        return process(self.enhanced.blocks(), lambda b, _: resample(b, theirs, ours),
                       20 * theirs, theirs, Fraction(ours, theirs), multiple=theirs)

    def blocks(self) -> Iterator[np.ndarray]:
        """Shape: `[2C, n]`, the noisy channels, then the enhanced ones."""
        return side_by_side(self.noisy.blocks(), self._at_rate(), self.delay)
