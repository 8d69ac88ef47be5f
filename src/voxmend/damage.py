"""What is wrong with a recording: a blind analysis in one pass and constant memory.

The pass collects four things; everything reported is read off them afterwards.

- a histogram of amplitudes per sign: clipping piles samples up at its upper end;
- how often frames of peak level l had power p in frequency bin f, counts `[l, f, p]`: lost
  bandwidth is a cliff in the high quantiles of p over f, noise a floor in the low ones, and both
  can look at frames below the clip level alone;
- runs of zeros whose edges are cut off rather than faded: gaps;
- the sum of squares.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import median_filter

CONFIDENT_CUTOFF = 7000.0  # Hz; above it, a cut is what lossy codecs do and nobody hears
SILENCE = 1e-5  # |x| below half a step of 16-bit PCM


@dataclass(frozen=True)
class Damage:
    """What `analyse` found; false when nothing.

    Attributes:
        clip_level: |x| at which the samples saturate, in the file's own units; None if they do not.
        cutoff: Hz above which the spectrum is lost; None if it is not.
        gaps: (start, end) of every gap, in seconds.
        noise: RMS of the stationary background noise, in the file's own units; None if negligible.
        clipped: share of the samples at the clip level, 0…1.
        rms: of the whole recording.
    """

    clip_level: float | None = None
    cutoff: float | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    noise: float | None = None
    clipped: float = 0.0
    rms: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.clip_level or self.cutoff or self.gaps or self.noise)

    def describe(self) -> list[str]:
        """One readable line per find; an empty list when nothing was found."""
        lines = []
        if self.clip_level:
            lines.append(f"clipped at {self.clip_level:.2g} ({self.clipped:.1%} of the samples)")
        if self.cutoff:
            lines.append(f"nothing above {self.cutoff / 1000:.1f} kHz")
        if self.gaps:
            total = sum(end - start for start, end in self.gaps)
            plural = "s" if len(self.gaps) > 1 else ""
            lines.append(f"{len(self.gaps)} gap{plural}, {total:.2f} s in all")
        if self.noise:
            speech = np.sqrt(max(self.rms**2 - self.noise**2, 1e-20))
            lines.append(f"noise at {decibel(self.noise):.0f} dBFS, "
                         f"{decibel(speech / self.noise):.0f} dB below the speech")
        return lines


def decibel(amplitude):
    """20 log₁₀ |a|, limited to −200 dB."""
    return 20 * np.log10(np.maximum(np.abs(amplitude), 1e-10))


def analyse(blocks: Iterable[np.ndarray], sample_rate: int) -> Damage:
    """Clip level, cutoff, gaps and noise of a recording, shared by its channels.

    Args:
        blocks: the recording in consecutive pieces of any length; the result does not depend on
            how it is cut. Memory does not grow with the length.
        sample_rate: Hz. A cutoff is reported below 90 % of the Nyquist frequency and 7 kHz.

    Shape: blocks `[C, n]`, float.
    """
    statistics = Statistics(sample_rate)
    for view in views(blocks, size=8 * sample_rate // statistics.hop * statistics.hop,
                      before=sample_rate // 20, after=sample_rate * 11 // 10):
        statistics.update(*view)
    level = clip_level(statistics.amplitudes)
    counts = statistics.counts_below(level)
    cutoff = cutoff_frequency(counts, statistics.frequencies)
    noise = noise_rms(counts, statistics.frequencies, cutoff)
    rms = statistics.rms
    if noise is not None and rms**2 > (1 + 10**2.6) * noise**2:
        noise = None
    return Damage(level, cutoff, statistics.found_gaps(), noise,
                  statistics.share_above(level), rms)


def views(blocks: Iterable[np.ndarray], size: int, before: int,
          after: int) -> Iterator[tuple[np.ndarray, int, int, int]]:
    """Overlapping pieces of a stream that depend only on the stream, not on its blocks.

    Yields (view, offset, start, end): `view[:, 0]` is sample `offset` of the stream, and the
    view owns the samples start…end, which it holds with up to `before` and `after` more around
    them. The last view owns all that is left.

    Shape: blocks `[C, n]`, views `[C, at most before + size + after]`.
    """
    held: list[np.ndarray] = []
    offset = start = total = 0
    for block in blocks:
        held.append(block)
        total += block.shape[-1]
        if total < start + size + after:
            continue
        joined = np.concatenate(held, -1)
        while total >= start + size + after:
            yield joined[:, :start + size + after - offset], offset, start, start + size
            start += size
            drop = max(start - before - offset, 0)
            joined, offset = joined[:, drop:], offset + drop
        held = [joined]
    if total > start:
        yield np.concatenate(held, -1), offset, start, total


def runs(flags: np.ndarray, shortest: int) -> np.ndarray:
    """Start and end of every run of at least `shortest` true flags. Shape: `[T]` to `[N, 2]`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    pairs = edges.reshape(-1, 2)
    return pairs[pairs[:, 1] - pairs[:, 0] >= shortest]


class Statistics:
    """What one pass over a recording remembers; see the module's text.

    Attributes:
        amplitudes: samples by sign and level, `[2, A]`, 0.01 dB per column from −100 dB up.
        counts: frames by peak level (2 dB from −90 dB), frequency bin and power (1 dB from
            −130 dB; white noise of variance 1 has 0 dB), `[L, F, P]`. Frames at gaps are left out.
        frequencies: of the bins, in Hz, `[F]`.
    """

    LEVELS, POWERS, AMPLITUDES = 50, 180, 12000

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        size = 2 ** round(np.log2(0.032 * sample_rate))
        self.hop = size // 2
        window = np.hanning(size + 1)[:-1]
        self.window = (window / np.sqrt(np.sum(window**2))).astype(np.float32)
        self.frequencies = np.fft.rfftfreq(size, 1 / sample_rate)
        self.amplitudes = np.zeros((2, self.AMPLITUDES), np.int64)
        self.counts = np.zeros((self.LEVELS, len(self.frequencies), self.POWERS), np.int32)
        self.gaps: list[tuple[float, float, bool]] = []
        self.energy = self.samples = 0

    def update(self, view: np.ndarray, offset: int, start: int, end: int) -> None:
        """Takes in what a view owns. Shape: view `[C, n]`."""
        own = view[:, start - offset:end - offset].astype(np.float32)
        self.energy += float(np.sum(own.astype(np.float64) ** 2))
        self.samples += own.size
        column = np.clip((decibel(own) + 100) * 100, 0, self.AMPLITUDES - 1).astype(np.int64)
        column += self.AMPLITUDES * (own < 0)
        self.amplitudes += np.bincount(column[own != 0], minlength=2 * self.AMPLITUDES).reshape(
            2, -1)
        silent = self._find_gaps(np.abs(view).max(0), offset, start, end)
        self._count_frames(view, silent, start - offset, end - offset)

    def _find_gaps(self, peak, offset, start, end):
        """Remembers the gaps that begin in start…end; flags the samples of all digital silence."""
        rate = self.sample_rate
        rms = np.sqrt(np.mean(peak**2))
        silent = np.zeros(len(peak), bool)
        for first, last in runs(peak <= max(SILENCE, 1e-3 * rms), rate // 200):
            exact = peak[first:last].max() <= SILENCE
            left, right = peak[:first][::-1], peak[last:]
            cut = [edge_is_cut(side, rms, rate) for side in (left, right)]
            sure = all(cut) or (exact and cut[0])
            if exact or sure:
                silent[first:last] = True
            inside = len(left) and len(right) and last - first <= rate
            hard = exact and any(edge_is_cut(side, 0.0, rate) for side in (left, right))
            if inside and (sure or hard) and start <= first + offset < end:
                self.gaps.append(((first + offset) / rate, (last + offset) / rate, sure))
        return silent

    def _count_frames(self, view, silent, first, last):
        size = len(self.window)
        last = min(last + size - self.hop, view.shape[-1])
        if last - first < size:
            return
        frames = sliding_window_view(view[:, first:last], size, -1)[:, ::self.hop]
        intact = ~sliding_window_view(silent[first:last], size)[::self.hop].any(-1)
        frames = frames[:, intact].reshape(-1, size).astype(np.float32)
        power = np.abs(np.fft.rfft(frames * self.window, axis=-1)) ** 2
        power = (10 * np.log10(power + 1e-20) + 130).clip(0, self.POWERS - 1).astype(np.int64)
        level = ((decibel(np.abs(frames).max(-1)) + 90) / 2).clip(0, self.LEVELS - 1)
        cell = (level.astype(np.int64)[:, None] * power.shape[1] + np.arange(power.shape[1]))
        cell = cell * self.POWERS + power
        self.counts += np.bincount(cell.ravel(), minlength=self.counts.size).reshape(
            self.counts.shape).astype(np.int32)

    @property
    def rms(self) -> float:
        """Root mean square of all samples."""
        return float(np.sqrt(self.energy / max(self.samples, 1)))

    def counts_below(self, level: float | None) -> np.ndarray:
        """Frames by bin and power whose peak stays below a level. Shape: `[F, P]`."""
        end = self.LEVELS if level is None else int((decibel(0.98 * level) + 90) / 2)
        return self.counts[:end].sum(0)

    def share_above(self, level: float | None) -> float:
        """Share of the samples whose magnitude reaches a level (to 0.1 dB), 0 for None."""
        if level is None:
            return 0.0
        first = int((decibel(level) + 99.9) * 100)
        return float(self.amplitudes[:, first:].sum() / self.samples)

    def found_gaps(self) -> tuple[tuple[float, float], ...]:
        """The gaps in order; less certain ones count only beside a certain one."""
        certain = any(sure for _, _, sure in self.gaps)
        return tuple((a, b) for a, b, _ in sorted(self.gaps)) if certain else ()


def edge_is_cut(side: np.ndarray, rms: float, sample_rate: int) -> bool:
    """Whether a signal stops abruptly: its 2 ms next to the silence are not far below its 20 ms.

    Args:
        side: the magnitudes that follow the silence, the nearest first.
        rms: the recording's; the 20 ms must be within 30 dB of it.

    Shape: `[T]`.
    """
    if len(side) < sample_rate // 500:
        return False
    near = np.sqrt(np.mean(side[:sample_rate // 500] ** 2))
    far = np.sqrt(np.mean(side[:sample_rate // 50] ** 2))
    return bool(far > max(0.03 * rms, 4 * SILENCE) and near > 0.25 * far)


def clip_level(amplitudes: np.ndarray) -> float | None:
    """The level at which samples pile up, or None.

    Each sign is judged by itself: the fullest 0.02 dB of its top 0.1 dB must hold at least 10
    samples and 5 times what the next 1 dB holds per non-empty 0.01 dB. The lower level counts.

    Shape: `[2, A]` as in `Statistics`.
    """
    found = []
    for row in amplitudes:
        top = np.flatnonzero(row)[-1] if row.any() else 0
        if top < 200:
            continue
        near, below = row[top - 10:top + 1], row[top - 110:top - 10]
        pairs = near[:-1] + near[1:]
        usual = below.sum() / max(np.count_nonzero(below), 1)
        if pairs.max() >= 10 and pairs.max() >= 5 * max(usual, 1):
            best = top - 10 + int(np.argmax(pairs)) + 1
            found.append(10 ** ((best / 100 - 100) / 20))
    return min(found) if found else None


def quantile(counts: np.ndarray, q: float) -> np.ndarray:
    """The power, in dB, that a share q of the frames does not exceed. Shape: `[F, P]` to `[F]`."""
    total = counts.cumsum(-1)
    return np.argmax(total >= q * total[:, -1:], -1) - 129.5


def cutoff_frequency(counts: np.ndarray, frequencies: np.ndarray,
                     cliff: float = 28.0) -> float | None:
    """Where the loud part of the spectrum falls off a cliff and nothing follows, or None.

    q(f) is the 95 % quantile of the power in dB. At the cut-off the mean of q from 500 to 100 Hz
    below exceeds all but 2 % of q from 100 Hz above by most, and by at least `cliff` dB: natural
    speech stays under 21 dB, a low-pass of 60 dB gives over 40.

    Shape: counts `[F, P]`, frequencies `[F]` in Hz.
    """
    if counts.sum(-1).max(initial=0) < 10:
        return None
    loud = median_filter(quantile(counts.astype(np.float64), 0.95), 5)
    width = frequencies[1]
    near, far = max(1, int(100 / width)), int(500 / width)
    highest = min(CONFIDENT_CUTOFF, 0.9 * frequencies[-1])
    top = int(0.97 * len(frequencies))
    drops = {i: loud[i - far:i - near].mean() - np.quantile(loud[i + near:top], 0.98)
             for i in range(far, int(highest / width))}
    best = max(drops, key=drops.get, default=0)
    if not drops or drops[best] < cliff:
        return None
    edge = loud[best - far:best - near].mean() - 10
    below = np.flatnonzero(loud[best - far:] < edge)
    return float(frequencies[best - far + below[0]])


def noise_rms(counts: np.ndarray, frequencies: np.ndarray, cutoff: float | None) -> float | None:
    """RMS of the white noise whose power is the median noise floor of the band, or None.

    In each bin the powers of noise are exponentially distributed and speech is louder: the mean m
    of that distribution solves E[p | p < 1.5 m] = 0.569 m, found by iteration upwards from the
    lowest tenth.

    Shape: counts `[F, P]`, frequencies `[F]` in Hz.
    """
    band = (frequencies > 150) & (frequencies < 0.95 * (cutoff or frequencies[-1]))
    counts = counts[band].astype(np.float64)
    if counts.sum(-1).max(initial=0) < 20:
        return None
    power = 10 ** ((np.arange(counts.shape[1]) - 129.5) / 10)
    floor = 10 ** (quantile(counts, 0.1) / 10) / 0.105 / 2
    for _ in range(50):
        kept = counts * (power < 1.5 * floor[:, None])
        floor = np.maximum((kept @ power) / np.maximum(kept.sum(-1), 1) / 0.569, 1e-20)
    return float(np.sqrt(np.median(floor)))
