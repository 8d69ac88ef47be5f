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
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

HIGHEST_CUTOFF = 6500.0  # Hz; a cut above it is what lossy codecs do, and hardly heard
LOWEST_POWER = -130  # dB, of the first column of `Statistics.counts`
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
            share = f" ({self.clipped:.1%} of the samples)" if self.clipped else ""
            lines.append(f"clipped at {self.clip_level:.2g}{share}")
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


def decibel(amplitude: ArrayLike) -> Any:
    """20 log₁₀ |a|, limited to −200 dB."""
    return 20 * np.log10(np.maximum(np.abs(amplitude), 1e-10))


def analyse(blocks: Iterable[np.ndarray], sample_rate: int) -> Damage:
    """Clip level, cutoff, gaps and noise of a recording, shared by its channels.

    Args:
        blocks: the recording in consecutive pieces of any length; the result does not depend on
            how it is cut. Memory does not grow with the length.
        sample_rate: Hz. A cutoff is reported below 90 % of the Nyquist frequency and 6.5 kHz.

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
    if noise is not None and rms**2 > (1 + 10**2.5) * noise**2:
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
        self.energy, self.samples = 0.0, 0

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

    def _find_gaps(self, peak: np.ndarray, offset: int, start: int, end: int) -> np.ndarray:
        """Remembers the gaps that begin in start…end; flags the samples of all digital silence."""
        rate = self.sample_rate
        rms = np.sqrt(np.mean(peak**2))
        step = np.min(peak, initial=1.0, where=peak > 0)
        audible = max(0.05 * rms, 4 * min(step, 0.01))
        silent = np.zeros(len(peak), bool)
        for first, last in runs(peak <= max(SILENCE, 1e-3 * rms), rate // 200):
            exact = np.mean(peak[first:last] <= SILENCE) > 0.8
            if not exact and last - first < rate // 100:
                continue
            left, right = peak[:first][::-1], peak[last:]
            cut = [edge_is_cut(side, audible, rate) for side in (left, right)]
            sure = all(cut) or (exact and cut[0])
            if exact or sure:
                silent[first:last] = True
            hard = exact and any(edge_is_cut(side, 4 * step, rate) for side in (left, right))
            inside = len(left) and len(right) and last - first <= rate
            if inside and (sure or hard) and start <= first + offset < end:
                self.gaps.append(((first + offset) / rate, (last + offset) / rate, bool(sure)))
        return silent

    def _count_frames(self, view: np.ndarray, silent: np.ndarray, first: int, last: int) -> None:
        size = len(self.window)
        last = min(last + size - self.hop, view.shape[-1])
        if last - first < size:
            return
        frames = sliding_window_view(view[:, first:last], size, -1)[:, ::self.hop]
        intact = ~sliding_window_view(silent[first:last], size)[::self.hop].any(-1)
        frames = frames[:, intact].reshape(-1, size).astype(np.float32)
        power = np.abs(np.fft.rfft(frames * self.window, axis=-1)) ** 2
        power = (10 * np.log10(power + 1e-20) - LOWEST_POWER).clip(0, self.POWERS - 1)
        power = power.astype(np.int64)
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
        """Frames by bin and power whose peak stays below a level; all, if those are under 8.

        Shape: `[F, P]`.
        """
        end = self.LEVELS if level is None else int((decibel(0.98 * level) + 90) / 2)
        below = self.counts[:end].sum(0)
        return below if below[0].sum() >= 8 else self.counts.sum(0)

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


def edge_is_cut(side: np.ndarray, audible: float, sample_rate: int) -> bool:
    """Whether a signal begins abruptly after a silence, rather than fading in.

    Within 8 ms it must become audible, and from there its first 2 ms must be within 10 dB of its
    first 20 ms. The 8 ms allow for the ringing of a low-pass that came after the cut.

    Args:
        side: magnitudes that follow the silence (or, reversed, precede it), the nearest first.
        audible: magnitude that counts as signal.
        sample_rate: Hz.

    Shape: `[T]`.
    """
    active = np.flatnonzero(side[:sample_rate // 125] >= audible)
    if len(active) == 0:
        return False
    side = side[active[0]:]
    near = np.mean(side[:sample_rate // 500] ** 2)
    return bool(near > 0.1 * np.mean(side[:sample_rate // 50] ** 2))


def clip_level(amplitudes: np.ndarray) -> float | None:
    """The level at which samples pile up, or None.

    In either sign, the fullest 0.02 dB of the top 0.1 dB hold at least 10 samples and 5 times
    what the next 1 dB holds per non-empty 0.01 dB; of two levels, the lower. Clipping that
    a later filter, codec or noise has softened is not found: tell its level.

    Shape: `[2, A]` as in `Statistics`.
    """
    columns = [column for row in amplitudes if (column := clip_column(row))]
    return 10 ** ((min(columns) / 100 - 100) / 20) if columns else None


def clip_column(row: np.ndarray) -> int | None:
    """Column of an amplitude histogram where the signal is cut off sharply. Shape: `[A]`."""
    top = int(np.flatnonzero(row)[-1]) if row.any() else 0
    if top < 200:
        return None
    near, below = row[top - 10:top + 1], row[top - 110:top - 10]
    pairs = near[:-1] + near[1:]
    usual = max(below.sum() / max(np.count_nonzero(below), 1), 1)
    if pairs.max() < max(10, 5 * usual):
        return None
    return top - 10 + int(np.argmax(pairs)) + 1


def quantile(counts: np.ndarray, q: float) -> np.ndarray:
    """The power, in dB, that a share q of the frames does not exceed. Shape: `[F, P]` to `[F]`."""
    total = counts.cumsum(-1)
    wanted = q * total[:, -1]
    column = np.argmax(total >= wanted[:, None], -1)[:, None]
    inside = np.take_along_axis(counts, column, -1)[:, 0]
    before = np.take_along_axis(total, column, -1)[:, 0] - inside
    return column[:, 0] + LOWEST_POWER + (wanted - before) / np.maximum(inside, 1)


def cutoff_frequency(counts: np.ndarray, frequencies: np.ndarray) -> float | None:
    """The frequency above which only the floor is left, or None.

    Judged on the 99 % quantile of the power, over three bins, that is on the loudest frames:
    either it falls by 28 dB within 400 Hz and never rises again, or (in noise) it falls by 5 dB
    within 200 Hz and from there on exceeds the median by no more than noise does.

    Shape: counts `[F, P]`, frequencies `[F]` in Hz.
    """
    spread = np.stack([np.convolve(column, np.ones(3), "same") for column in counts.T], 1)
    if spread.sum(-1).max(initial=0) < 24:
        return None
    width = frequencies[1]
    near, far = round(150 / width), round(500 / width)
    loud, usual = quantile(spread, 0.99), quantile(spread, 0.5)
    usable = round(0.985 * len(loud))
    last = np.searchsorted(frequencies, min(HIGHEST_CUTOFF, 0.9 * frequencies[-1]))
    above = np.maximum.accumulate(loud[:usable][::-1])[::-1]
    below = np.convolve(loud, np.ones(far - near) / (far - near), "valid")
    drop = below[:last - far] - above[far + near:last + near]
    steepest = int(np.argmax(drop))
    if drop[steepest] >= 28:
        edge = steepest + np.flatnonzero(loud[steepest:last + near] > below[steepest] - 10)[-1]
        return float(frequencies[edge])
    noise_spread = 10 * np.log10(np.log(100) / np.log(2))
    modulated = np.flatnonzero((loud - usual)[:usable] > noise_spread + 2)
    edge = modulated[-1] if len(modulated) else 0
    if not 1200 < frequencies[edge] < frequencies[last]:
        return None
    inner = slice(edge - near - 1, edge)
    step = loud[inner].mean() - loud[edge + near - 1:edge + 2 * near].mean()
    speech = (loud - usual)[inner].mean() - noise_spread
    return float(frequencies[edge]) if step > 5 and speech > 4 else None


def noise_rms(counts: np.ndarray, frequencies: np.ndarray, cutoff: float | None) -> float | None:
    """RMS of the white noise as dense as the band's noise floor in its 40 % quietest bins, or None.

    In each bin the powers p of stationary noise are exponentially distributed, and speech is
    louder. So the noise's mean power m solves E[p | p < t] = m (1 − c/(eᶜ − 1)) with c = t/m ≈ 2:
    iterated from the lowest tenth of the frames upwards, until speech is cut off.

    Shape: counts `[F, P]`, frequencies `[F]` in Hz.
    """
    band = (frequencies > 150) & (frequencies < 0.95 * (cutoff or frequencies[-1]))
    counts = counts[band]
    if counts.sum(-1).max(initial=0) < 8:
        return None
    power = 10 ** ((np.arange(counts.shape[1]) + LOWEST_POWER + 0.5) / 10)
    number, energy = counts.cumsum(-1), (counts * power).cumsum(-1)
    mean = 10 ** (quantile(counts, 0.1) / 10) / -np.log(0.9) / 2
    for _ in range(30):
        column = np.round(10 * np.log10(2 * mean) - LOWEST_POWER).clip(1, len(power))
        column = column.astype(int)[:, None] - 1
        ratio = 10 ** ((column[:, 0] + 1 + LOWEST_POWER) / 10) / mean
        kept = np.take_along_axis(energy, column, -1) / np.maximum(
            np.take_along_axis(number, column, -1), 1)
        mean = np.maximum(kept[:, 0] / (1 - ratio / np.expm1(ratio)), 1e-13)
    return float(np.sqrt(np.quantile(mean, 0.4)))
