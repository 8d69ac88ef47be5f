"""Gaps in voiced speech filled along its pitch: autoregressive interpolation in warped time.

An autoregressive process has fixed frequencies, and those of a voice glide: after 50 ms a harmonic
that is continued at its own frequency is out of step with what comes after the gap. So a phase φ,
in periods, is led from the one side to the other,

    φ(0) = 0, φ(n) = P, of slopes f₋ and f₊ there (a cubic),   P ≡ δ (mod 1),

with the pitch f and its slope at both edges, the shift δ at which the last periods before the gap
are most like the first ones after it, and as many periods as are nearest to what the pitch and its
slope foretell, P̄. Over the time φ/√(f₋f₊) the voice has one pitch, and there `janssen` fills it.
Where one side has no pitch, it is led on from the other.

Sources: phases by McAulay & Quatieri 1986, "Speech analysis/synthesis based on a sinusoidal
representation", section IV; warped time as of Edler et al. 2009, "A time-warped MDCT approach to
speech transform coding".
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from ..dsp.runs import runs
from .interpolation import _checked, ar_interpolate, janssen

PERIODS = 0.0025, 0.0145  # seconds, of voices
WINDOW, CONTEXT, ORDER = 0.022, 0.0625, 0.0125  # seconds: of the pitch, of the filling
SLOPES = np.linspace(-6, 6, 13)  # of the pitch, as a share of it in a second
STEEP = 0.005  # by which a slope of 1 must be more periodic than a slope of 0
LIKELY = 0.88  # of two periods the shorter is taken if it is so nearly as good
LONGEST, SHORTEST = 0.15, 0.02  # seconds: of a gap; of one of which pitch says more than a process
NEGLIGIBLE = 0.02  # share that is not worth its time
STRAIGHT = 0.03  # periods by which a phase bends where the other guess knows as much
SHAPE = np.arange(200) / 200  # places in a period


@dataclass(frozen=True)
class Edge:
    """The pitch beside a gap, as it is heard towards the gap.

    Attributes:
        wave: what is beside the gap; it ends there.
        frequency: periods a sample at the gap.
        slope: of the frequency, as a share of it a sample.
        likeness: correlation of a window with the one a period before.
    """

    wave: np.ndarray
    frequency: float
    slope: float
    likeness: float

    def period(self) -> np.ndarray:
        """The mean of the last two periods, without its own mean, at the places of `SHAPE`."""
        phase = np.stack([SHAPE - 1, SHAPE - 2])
        time = phase / self.frequency
        if self.slope:  # φ = f t + f s t² / 2
            time = (np.sqrt(np.maximum(1 + 2 * self.slope * time, 0.05)) - 1) / self.slope
        last = len(self.wave) - 1
        mean = np.interp(last + time, np.arange(last + 1), self.wave).mean(0)
        return mean - mean.mean()


def _lags(sample_rate: int) -> np.ndarray:
    """The periods of voices, in samples."""
    return np.arange(round(PERIODS[0] * sample_rate), round(PERIODS[1] * sample_rate) + 1)


def _least(sample_rate: int) -> int:
    """Samples of a side that `find_edge` looks at: a window, a period before it, and some more."""
    return round(1.2 * (WINDOW + PERIODS[1]) * sample_rate)


def _likeness(wave: np.ndarray, window: int, lags: np.ndarray) -> np.ndarray:
    """Correlation of the last samples with those so many samples before."""
    begun, last = len(wave) - window - lags, wave[-window:]
    along = np.correlate(wave[begun[-1]:begun[0] + window], last, "valid")[::-1]
    energy = np.cumsum(np.concatenate([[0], wave**2]))
    silent = 1e-9 * energy[-1] + np.finfo(float).tiny
    before = np.maximum(energy[begun + window] - energy[begun], silent)
    return along / (np.sqrt(max(last @ last, silent)) * np.sqrt(before))


def find_edge(wave: np.ndarray, sample_rate: int) -> Edge:
    """The pitch at the end of a signal of at least 44 ms, and how it changes there.

    Of several slopes that which makes the last 22 ms most like what was a period before, once the
    signal is played so that its pitch stays.

    Shape: `[T]`.
    """
    window, lags = round(WINDOW * sample_rate), _lags(sample_rate)
    time = np.arange(1 - _least(sample_rate), 1)
    heard = wave[-len(time):] - wave[-len(time):].mean()

    def warped(share: float) -> np.ndarray:
        """Likenesses where a pitch of that slope is as it is at the end."""
        place = time + time**2 * share / sample_rate / 2
        grid = np.arange(np.ceil(max(place[0], time[0])), 1)
        return _likeness(np.interp(grid, place, heard), window, lags)

    likeness = [warped(share) for share in SLOPES]
    scores = np.max(likeness, 1) - STEEP * np.abs(SLOPES)
    best = int(scores.argmax())
    share = SLOPES[best] + _vertex(scores, best) * (SLOPES[1] - SLOPES[0])
    found = warped(share)
    at = _shortest(found)
    return Edge(wave, 1 / (lags[at] + _vertex(found, at)), share / sample_rate, float(found[at]))


def _shortest(likeness: np.ndarray) -> int:
    """The first peak that is nearly as high as any; the highest value where there is none."""
    inner = likeness[1:-1]
    peaks = (inner >= likeness[:-2]) & (inner >= likeness[2:]) & (inner > LIKELY * likeness.max())
    return int(peaks.argmax()) + 1 if peaks.any() else int(likeness.argmax())


def _vertex(values: np.ndarray, at: int) -> float:
    """How far beside a peak the parabola through it and its neighbours is highest."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, peak, after = values[at - 1:at + 2]
    bend = before - 2 * peak + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def foretold_periods(before: Edge, after: Edge, length: int) -> float:
    """P̄ of a gap of `length` samples: its pitch a cubic with the slopes of both edges."""
    first, second = before.frequency, after.frequency
    return (length * (first + second) / 2
            + length**2 * (first * before.slope + second * after.slope) / 12)


def periods_between(before: Edge, after: Edge, length: int) -> tuple[float, float]:
    """P and P̄ of a gap of `length` samples, in periods."""
    foretold = foretold_periods(before, after, length)
    spectra = np.fft.rfft([before.period(), after.period()[::-1]])
    alike = np.fft.irfft(spectra[0] * spectra[1].conj())
    at = int(alike.argmax())
    places = at + _vertex(alike.take([at - 1, at, at + 1], mode="wrap"), 1)
    # the one ends a sample before the gap, the other, turned round, begins a place late
    shift = (places - 1) / len(SHAPE) - before.frequency
    return shift + np.round(foretold - shift), foretold


def _phase(before: Edge, after: Edge, length: int, periods: float) -> np.ndarray:
    """φ at every sample of the left side, the gap and the right side."""
    def side(edge: Edge, nearest: int) -> np.ndarray:
        time = np.arange(nearest + 1 - len(edge.wave), nearest + 1)
        return edge.frequency * (time + edge.slope * time**2 / 2)

    u = np.arange(length) / length
    inside = ((3 * u**2 - 2 * u**3) * periods + (u**3 - 2 * u**2 + u) * length * before.frequency
              + (u**3 - u**2) * length * after.frequency)
    return np.concatenate([side(before, -1), inside, periods - side(after, 0)[::-1]])


def _filled(left: np.ndarray, right: np.ndarray, phase: np.ndarray, period: float,
            order: int) -> np.ndarray:
    """The gap between two sides, by `janssen` where the phase is even."""
    place, begin, end = phase * period, len(left), len(phase) - len(right)
    bridge = np.linspace(left[-1], right[0], end - begin + 2)[1:-1]  # so that no spline rings
    grid = np.arange(np.ceil(place[0]), np.floor(place[-1]) + 1)
    time = np.arange(len(phase))
    warped = CubicSpline(time, np.concatenate([left, bridge, right]))(np.interp(grid, place, time))
    missing = (grid >= place[begin] - 1) & (grid <= place[end - 1] + 1)
    warped[missing] = 0
    return CubicSpline(grid, janssen(warped, missing, order))(place[begin:end])


def _courses(before: Edge, after: Edge, length: int) -> list[tuple[float, Edge, Edge, float]]:
    """What the pitch may do in a gap: the share of each in the result, both edges and P.

    What joins both sides has most if both are periodic and P is near to what was foretold; of the
    rest half has what the more periodic side foretells, whatever the other one is.
    """
    periodic = np.clip([2 * edge.likeness - 0.6 for edge in (before, after)], 0, 1)
    periods, foretold = periods_between(before, after, length)
    joined = periodic.min() * (1 - 2 * max(0, abs(periods - foretold) - 0.2))
    lead, other = (before, after) if periodic.argmax() == 0 else (after, before)
    other = replace(other, frequency=lead.frequency * (1 + lead.slope * length / 2), slope=0.0)
    led = (lead, other) if lead is before else (other, lead)
    return [(joined, before, after, periods),
            (periodic.max() / 2 * (1 - joined), *led, foretold_periods(*led, length))]


def pitch_interpolate(wave: ArrayLike, missing: ArrayLike, sample_rate: int,
                      guess: ArrayLike | None = None) -> np.ndarray:
    """Gaps with voiced speech on either side filled along its pitch, as the module says.

    Where one side alone is voiced, half of what goes on at its pitch. The less periodic the sides,
    the more stays of another guess; gaps of more than 150 ms and those with less than 44 ms beside
    them keep it whole.

    Args:
        wave: the signal; what it holds at missing samples is not used.
        missing: True at the samples to fill.
        sample_rate: Hz.
        guess: the other guess; None: that of `ar_interpolate`.

    Shape: `[T]`, `[T]` bool, `[T]` to `[T]`, float64.

    Raises ValueError as `ar_interpolate`.
    """
    wave, missing = _checked(wave, missing)
    filled = np.where(missing, ar_interpolate(wave, missing) if guess is None else guess, wave)
    context, least = round(CONTEXT * sample_rate), _least(sample_rate)
    for start, stop in runs(missing):
        sides = slice(max(0, start - context), start), slice(stop, stop + context)
        left, right = (filled[side] for side in sides)
        if min(len(left), len(right)) < least or stop - start > LONGEST * sample_rate:
            continue
        worth = 1 - max(missing[side].mean() for side in sides)  # other gaps tell no pitch
        worth *= min(1, (stop - start) / sample_rate / SHORTEST)
        gap = filled[start:stop].copy()
        for share, before, after, periods in _courses(
                find_edge(left, sample_rate), find_edge(right[::-1], sample_rate), len(gap)):
            phase = _phase(before, after, len(gap), periods)
            bend = np.ptp(phase - np.linspace(phase[0], phase[-1], len(phase)))
            if share * worth > NEGLIGIBLE and np.diff(phase).min() > 0 and bend > STRAIGHT:
                period = (before.frequency * after.frequency) ** -0.5
                found = _filled(left, right, phase, period, round(ORDER * sample_rate))
                filled[start:stop] += share * worth * (found - gap)
    return filled
