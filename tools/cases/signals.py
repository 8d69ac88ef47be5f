"""Rows of damaged speech, and of good material that only looks so: levels, channels, kinds.

A row makes its sound from clean clips of 4 s, 16 kHz, peak 0.9, and names the verb that hears it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from . import damage
from .damage import RATE, added, clicks, hum, lost, noise, places, resampled

Clips = list[np.ndarray]


@dataclass(frozen=True)
class Sound:
    """What a verb is given, and what it should come near to.

    Attributes:
        damaged: `[C, T]`.
        clean: `[C, T]`, `[K, C, T]` of several voices, or None for good material, which is to be
            left as it is to the bit.
        rate: Hz.
        judged: samples that the figures are of; all by default.
        undisturbed: the input without what must not matter (a bang, a quiet neighbour), `[C, T]`.
        band: the lost band is judged, by log-spectral distance in place of SI-SDR.
    """

    damaged: np.ndarray
    clean: np.ndarray | None
    rate: int = RATE
    judged: slice | np.ndarray | None = None
    undisturbed: np.ndarray | None = None
    band: bool = False


@dataclass(frozen=True)
class Row:
    """A case: of which point of the list, in words, by which verb (with its options)."""

    case: str
    text: str
    verb: str
    make: Callable[[Clips], Sound]


def both(*channels: np.ndarray) -> np.ndarray:
    """Channels `[C, T]`."""
    return np.stack(channels)


def hiss(wave: np.ndarray, seed: int, snr_db: float = 12) -> np.ndarray:
    """Speech in white noise."""
    return added(wave, noise(len(wave), seed), snr_db)


def quiet_channel(db: float, clips: Clips) -> Sound:
    """The same speech twice, once so much quieter, each in noise of its own."""
    x, gain = clips[0], 10 ** (-db / 20)
    loud, soft = hiss(x, 1), hiss(x, 2)
    return Sound(both(loud, gain * soft), both(x, gain * x), undisturbed=both(loud, soft))


def quiet_half(db: float, clips: Clips, snr_db: float = 16.9) -> Sound:
    """Speech whose second half is so much quieter, noise and all."""
    x = clips[0]
    gain = np.where(np.arange(len(x)) < len(x) // 2, 1, 10 ** (-db / 20))
    noisy = hiss(x, 3, snr_db)
    return Sound((gain * noisy)[None], (gain * x)[None], judged=slice(len(x) // 2 + 3200, None),
                 undisturbed=noisy[None])


def beside(clips: Clips, ratio: float, seconds: float, snr_db: float = 15.7) -> Sound:
    """Quiet noisy speech, and something that is `ratio` times as loud for a while."""
    x = clips[0] / ratio
    noisy, size = hiss(x, 4, snr_db), round(seconds * RATE)
    event = np.zeros(len(x))
    event[2 * RATE:2 * RATE + size] = 0.9 * np.clip(
        noise(size, 5) / 3, -1, 1) * np.hanning(size + 2)[1:-1] ** 0.3
    elsewhere = np.r_[:2 * RATE - 1600, 2 * RATE + size + 1600:len(x)]
    return Sound((noisy + event)[None], x[None], judged=elsewhere, undisturbed=noisy[None])


def voices(clips: Clips, kind: str, db: float) -> Sound:
    """Two voices, with a quiet channel, a quiet half, or a bang."""
    first, second = clips[0], clips[1] * np.linalg.norm(clips[0]) / np.linalg.norm(clips[1])
    each, gain = both(first, second)[:, None] / 2, 10 ** (-db / 20)
    if kind == "channel":
        clean = np.concatenate([each, gain * each], 1)
        return Sound(clean.sum(0), clean, undisturbed=np.concatenate([each, each], 1).sum(0))
    if kind == "half":
        envelope = np.where(np.arange(len(first)) < len(first) // 2, 1, gain)
        return Sound((envelope * each).sum(0), envelope * each, undisturbed=each.sum(0),
                     judged=slice(len(first) // 2 + 3200, None))
    bang = beside(clips, 10 ** (db / 20), 0.01)
    quiet = each * gain
    event = bang.damaged - bang.undisturbed
    return Sound(quiet.sum(0) + event, quiet, judged=bang.judged, undisturbed=quiet.sum(0))


def levels() -> Iterator[Row]:
    """A1: one scale for all channels and the whole file."""
    for verb in ("enhance", "denoise", "mend"):
        few = slice(1, 2) if verb == "mend" else slice(None)  # it takes ten times as long
        for db in (12, 20, 30)[few]:
            yield Row("A1", f"noise 12 dB below, one channel {db} dB quieter", verb,
                      partial(quiet_channel, db))
        for db in (12, 24, 36)[few]:
            yield Row("A1", f"noise 16.9 dB below, second half {db} dB quieter", verb,
                      partial(quiet_half, db))
        for ratio in (10, 20, 30)[few]:
            yield Row("A1", f"quiet noisy speech beside a bang of 10 ms, {ratio} times as loud",
                      verb, partial(beside, ratio=ratio, seconds=0.01))
        for ratio in (5, 14, 30)[few]:
            yield Row("A1", f"quiet noisy speech beside a cough of 0.5 s, {ratio} times as loud",
                      verb, partial(beside, ratio=ratio, seconds=0.5))
    for kind, text in (("channel", "one channel {} dB quieter"),
                       ("half", "second half {} dB quieter"), ("bang", "a bang {} dB above")):
        for db in (12, 24, 30):
            yield Row("A1", "two voices, " + text.format(db), "separate",
                      partial(voices, kind=kind, db=db))
    for text, make in (("one channel 20 dB quieter", partial(quiet_channel, 20)),
                       ("second half 24 dB quieter", partial(quiet_half, 24)),
                       ("a cough, 14 times as loud", partial(beside, ratio=14, seconds=0.5))):
        yield Row("A1", f"noise 12 to 17 dB below, {text}", "enhance --method voxmend+refine",
                  make)


def clipped(x: np.ndarray, level: float) -> np.ndarray:
    """Hard clipping."""
    return np.clip(x, -level, level)


def channels() -> Iterator[Row]:
    """A2: damage per channel and per stretch of time; A3: float files beyond full scale."""
    for low, high in ((0.2, 0.5), (0.3, 0.6), (0.4, 0.7)):
        yield Row("A2", f"two channels, clipped at {low} and {high}", "mend",
                  lambda c, low=low, high=high: Sound(
                      both(clipped(c[1], low), clipped(c[1], high)), both(c[1], c[1])))
    for ms in (10, 20, 50):
        yield Row("A2", f"8 gaps of {ms} ms in one channel of two", "mend",
                  lambda c, ms=ms: Sound(both(lost(c[2], places(c[2], 8, ms)), c[2]),
                                         both(c[2], c[2])))
    yield Row("A2", "a gap of 50 ms in the left channel, told", "inpaint --gaps L:1-1.05",
              lambda c: Sound(both(lost(c[2], [slice(RATE, RATE + 800)]), c[2]),
                              both(c[2], c[2])))
    for name, gain in (("silent", 0), ("40 dB quieter", 0.01), ("60 dB quieter", 0.001)):
        for verb in ("mend", "denoise"):
            yield Row("A2", f"noise 12 dB below, the other channel {name}, without noise", verb,
                      lambda c, gain=gain: Sound(both(hiss(c[0], 6), gain * c[0]),
                                                 both(c[0], gain * c[0])))
    for name, event in (("one beep at 0.8", (0.8, 3200)), ("a click at 0.95", (0.95, 2)),
                        ("a thump at 0.9", (0.9, 400))):
        yield Row("A2", f"clipped at 0.3, then {name}", "mend", partial(hidden, *event))
    for first, second in ((0.6, 0.3), (0.3, 0.6), (0.5, 0.2)):
        yield Row("A2", f"clipped at {first} first, at {second} later", "mend",
                  partial(two_levels, first, second))
    for gain in (1e-4, 20, 40, 1000):
        yield Row("A3", f"clean speech × {gain:g}, float", "mend",
                  lambda c, gain=gain: Sound(gain * c[3][None], None))
    for gain in (1e-3, 20, 40):
        yield Row("A3", f"clipped at 0.3, then × {gain:g}, float", "mend",
                  lambda c, gain=gain: Sound(gain * clipped(c[1], 0.3)[None], gain * c[1][None]))


def two_levels(first: float, second: float, clips: Clips) -> Sound:
    """Clipped at one level and later at another; the half of the lower one is judged."""
    halves = [0.9 * half / np.abs(half).max() for half in np.split(clips[1], 2)]
    cut = [clipped(half, level) for half, level in zip(halves, (first, second), strict=True)]
    lower = slice(0, 2 * RATE) if first < second else slice(2 * RATE, 4 * RATE)
    return Sound(np.concatenate(cut)[None], np.concatenate(halves)[None], judged=lower)


def hidden(peak: float, size: int, clips: Clips) -> Sound:
    """Clipped speech, with a beep (or click) above its level that is none of it."""
    event = np.zeros(len(clips[1]))
    beep = np.sin(2 * np.pi * 1000 * np.arange(size) / RATE) if size > 8 else np.ones(size)
    event[:size] = peak * beep
    event[-size:] = -peak * beep
    mask = event == 0
    return Sound(np.where(mask, clipped(clips[1], 0.3), event)[None],
                 np.where(mask, clips[1], event)[None], judged=np.flatnonzero(mask))


def clipping() -> Iterator[Row]:
    """B5: clipping that something came after; limited speech is none."""
    def row(text: str, change: Callable[[np.ndarray], np.ndarray], offset: float = 0) -> Row:
        return Row("B5", text, "mend", lambda c: Sound(change(c[1])[None], c[1][None] + offset))

    for level in (0.2, 0.3, 0.5):
        yield row(f"clipped at ±{level}", partial(clipped, level=level))
        yield row(f"clipped at {level} on one side", lambda x, lv=level: np.minimum(x, lv))
        yield row(f"clipped at ±{level}, offset 0.1",
                  lambda x, lv=level: np.clip(x + 0.1, -lv, lv), offset=0.1)
    for level in (0.2, 0.3, 0.4):
        for codec, name, rate in (("libmp3lame", "mp3", 64000), ("libopus", "Opus", 32000)):
            yield row(f"clipped at {level}, then {name} of {rate // 1000} kbit/s",
                      lambda x, lv=level, codec=codec, rate=rate: damage.coded(
                          clipped(x, lv), codec, rate))
        yield row(f"clipped at {level} at 44.1 kHz, read at 16 kHz",
                  lambda x, lv=level: damage.placed(resampled(clipped(
                      resampled(x, RATE, 44100), lv), 44100, RATE), x))
    for db in (-60, -50, -40):
        yield row(f"clipped at 0.3, then noise at {db} dBFS",
                  lambda x, db=db: clipped(x, 0.3) + 10 ** (db / 20) * noise(len(x), 7))
    for drive in (2, 4, 8):
        yield row(f"softly clipped, tanh of {drive} x", partial(damage.soft_clipped, drive=drive))
    for db in (6, 12, 20):
        yield Row("B5", f"good: limited with look-ahead, driven by {db} dB", "mend",
                  lambda c, db=db: Sound(damage.limited(c[1], db)[None], None))


def gaps() -> Iterator[Row]:
    """B6: gaps that are not zeros; gated speech has none."""
    def row(text: str, change: Callable[[np.ndarray], np.ndarray], offset: float = 0) -> Row:
        return Row("B6", text, "mend", lambda c: Sound(change(c[2])[None], c[2][None] + offset))

    for ms in (10, 20, 50):
        yield row(f"8 gaps of zeros, {ms} ms", lambda x, ms=ms: lost(x, places(x, 8, ms)))
        yield row(f"8 gaps of A-law silence, {ms} ms",
                  lambda x, ms=ms: lost(damage.a_law(x), places(x, 8, ms), 8 / 32768))
        yield row(f"8 gaps of {ms} ms under an offset of 0.02",
                  lambda x, ms=ms: lost(x, places(x, 8, ms)) + 0.02, offset=0.02)
        yield row(f"8 repeated packets of {ms} ms",
                  lambda x, ms=ms: damage.repeated(x, places(x, 8, ms)))
    for db in (-70, -60, -50):
        yield row(f"8 gaps of 40 ms with comfort noise at {db} dBFS", lambda x, db=db: lost(
            x, places(x, 8, 40), 10 ** (db / 20) * noise(len(x), 8)))
    for codec, name, rate in (("libmp3lame", "mp3", 64000), ("libopus", "Opus", 32000)):
        for ms in (20, 40):
            yield row(f"8 gaps of {ms} ms, then {name} of {rate // 1000} kbit/s",
                      lambda x, ms=ms, codec=codec, rate=rate: damage.coded(
                          lost(x, places(x, 8, ms)), codec, rate))
    for count in (10, 30, 60):
        yield row(f"{count} losses of 3 ms", lambda x, n=count: lost(x, places(x, n, 3)))
    first, last = slice(0, 1600), slice(4 * RATE - 1600, 4 * RATE)
    for name, where in (("start", [first]), ("end", [last]), ("start and end", [first, last])):
        yield row(f"a gap of 100 ms at the very {name}", partial(lost, where=where))
    for seconds in (0.5, 1.3, 2.0):
        yield Row("B6", f"a gap of {seconds} s, judged around it", "mend",
                  partial(long_gap, seconds))
    for ms in (5, 10, 40):
        yield Row("B6", f"good: noise-gated speech, fades of {ms} ms", "mend",
                  lambda c, ms=ms: Sound(damage.gated(c[2], ms)[None], None))


def long_gap(seconds: float, clips: Clips) -> Sound:
    """A gap that nothing can fill as it was: what is around it must stay."""
    x, gap = clips[2], slice(RATE, RATE + round(seconds * RATE))
    around = np.r_[:gap.start, gap.stop:len(x)]
    return Sound(lost(x, [gap])[None], x[None], judged=around)


def bands() -> Iterator[Row]:
    """B7: band limits by gentle filters, cheap upsampling, telephones."""
    def row(text: str, change: Callable[[np.ndarray], np.ndarray], verb: str = "mend") -> Row:
        return Row("B7", text, verb, lambda c: Sound(change(c[4])[None], c[4][None], band=True))

    for order in (2, 4, 6, 10):
        yield row(f"Butterworth low-pass of order {order}, 3.4 kHz",
                  partial(damage.lowpass, order=order))
    for factor in (2, 3, 4):
        yield row(f"{RATE // factor} Hz, upsampled by repeating samples",
                  partial(damage.held, factor=factor))
        yield row(f"{RATE // factor} Hz, upsampled on straight lines",
                  partial(damage.held, factor=factor, linear=True))
    for order in (2, 4, 8):
        yield row(f"telephone band, Butterworth of order {order}",
                  partial(damage.telephone, order=order))
    yield row("telephone band, order 4", partial(damage.telephone, order=4), "extend")


def noises() -> Iterator[Row]:
    """B8: hum, brown noise, rumble, noise that begins half-way, clicks, rooms."""
    def row(text: str, change: Callable[[np.ndarray], np.ndarray], verb: str) -> Row:
        return Row("B8", text, verb, lambda c: Sound(change(c[5])[None], c[5][None]))

    half = np.arange(4 * RATE) >= 2 * RATE
    kinds = {"50 Hz hum": lambda n: hum(n, 50), "60 Hz hum": lambda n: hum(n, 60),
             "brown noise": damage.brown, "rumble below 80 Hz": damage.rumble,
             "white noise": partial(noise, seed=9),
             "white noise from half-way on": lambda n: half[:n] * noise(n, 10)}
    for name, make in kinds.items():
        for verb, snr in (("denoise", 0), ("denoise", 10), ("denoise", 20), ("mend", 10)):
            yield row(f"{name}, {snr} dB below", lambda x, make=make, snr=snr: added(
                x, make(len(x)), snr), verb)
    for count in (20, 60, 200):
        yield row(f"{count} clicks in 4 s", lambda x, n=count: x + clicks(len(x), n), "mend")
    for t60 in (0.3, 0.6, 1.0):
        for verb in ("mend", "dereverb"):
            yield row(f"a room, T60 {t60} s", partial(damage.reverberant, t60=t60), verb)


def good() -> Iterator[Row]:
    """B9: what is not speech, or is well, is left alone."""
    for kind in ("sine", "square", "saw", "sweep"):
        for hertz in (110, 440, 3000):
            yield Row("B9", f"good: {kind}, {hertz} Hz", "mend",
                      lambda c, kind=kind, hertz=hertz: Sound(
                          damage.tone(kind, hertz)[None], None))
    for seed in range(3):
        yield Row("B9", f"good: plucked chords, {seed + 1}", "mend",
                  lambda c, seed=seed: Sound(damage.music(seed)[None], None))
    for number in range(8):
        yield Row("B9", f"good: clean speech, clip {number + 1}", "mend",
                  lambda c, n=number: Sound(c[n][None], None))


def layouts() -> Iterator[Row]:
    """C10: 1 to 8 channels; C15: rates of 1000 to 192000 Hz."""
    for count in range(1, 9):
        for verb in ("denoise", "enhance"):
            yield Row("C10", f"{count} channels, noise 12 dB below, each 3 dB quieter", verb,
                      lambda c, count=count: Sound(
                          both(*(0.7 ** k * hiss(c[k], 20 + k) for k in range(count))),
                          both(*(0.7 ** k * c[k] for k in range(count)))))
    for rate in (1000, 1500, 2000, 3000, 4000, 6000, 8000, 11025, 22050, 32000, 44100, 48000,
                 96000, 192000):
        for verb in ("mend", "enhance"):
            def make(c: Clips, rate: int = rate, verb: str = verb) -> Sound:
                x = resampled(c[6], RATE, rate)
                worse = clipped(x, 0.3 * np.abs(x).max()) if verb == "mend" else hiss(x, 30)
                return Sound(worse[None], x[None], rate)

            worse = "clipped at a third of its peak" if verb == "mend" else "noise 12 dB below"
            yield Row("C15", f"{rate} Hz, {worse}", verb, make)
    for rate in (8000, 44100, 48000):
        yield Row("B8", f"white noise below {min(rate // 2, 8000)} Hz, 12 dB below, at {rate} Hz",
                  "denoise", lambda c, rate=rate: Sound(
                      resampled(hiss(c[6], 32), RATE, rate)[None],
                      resampled(c[6], RATE, rate)[None], rate))
    for ms in (20, 30, 50):
        for verb in ("enhance", "denoise"):
            yield Row("C15", f"{ms} ms of speech, noise 12 dB below", verb,
                      lambda c, ms=ms: short(c[0], ms))


def short(x: np.ndarray, ms: int) -> Sound:
    """The loudest so many milliseconds in noise."""
    size = ms * RATE // 1000
    piece = damage.loudest(x, size)
    return Sound(hiss(piece, 31)[None], piece[None])


KINDS = (levels, channels, clipping, gaps, bands, noises, good, layouts)
