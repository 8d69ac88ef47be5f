"""Damage as it really comes, sound that only looks damaged, and sound that is no speech.

Signals are float64 `[T]`, −1…1; every function returns a new one and draws from its own seed.
"""

import io

import av
import numpy as np
import soundfile
import soxr
from scipy import signal
from scipy.ndimage import minimum_filter1d, uniform_filter1d

RATE = 16000  # Hz, of the speech


def noise(length: int, seed: int = 0) -> np.ndarray:
    """White noise of RMS 1."""
    return np.random.default_rng(seed).standard_normal(length)


def loudest(wave: np.ndarray, size: int) -> np.ndarray:
    """So many samples of a signal, where they hold the most energy."""
    energy = np.cumsum(np.pad(wave**2, (1, 0)))
    start = int(np.argmax(energy[size:] - energy[:-size]))
    return wave[start:start + size]


def added(wave: np.ndarray, other: np.ndarray, snr_db: float) -> np.ndarray:
    """A signal and another, of the same length, so many dB below it."""
    gain = np.linalg.norm(wave) / np.linalg.norm(other) * 10 ** (-snr_db / 20)
    return wave + gain * other


def resampled(wave: np.ndarray, rate: int, to: int) -> np.ndarray:
    """The signal at another rate."""
    return soxr.resample(wave, rate, to) if rate != to else wave.copy()


def coded(wave: np.ndarray, codec: str, bit_rate: int, rate: int = RATE) -> np.ndarray:
    """What is left after mp3 (`libmp3lame`) or Opus (`libopus`), in its place."""
    target, formats = io.BytesIO(), {"libmp3lame": ("mp3", "s16p"), "libopus": ("ogg", "s16")}
    name, sample = formats[codec]
    with av.open(target, "w", format=name) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono", bit_rate=bit_rate)
        frame = av.AudioFrame.from_ndarray(pcm(wave)[None], "s16", "mono")
        frame.sample_rate = rate
        for part in av.AudioResampler(sample, "mono", rate).resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    target.seek(0)
    decoded, at = soundfile.read(target)
    return placed(resampled(decoded, at, rate), wave)


def pcm(wave: np.ndarray) -> np.ndarray:
    """The signal as 16-bit integers."""
    return np.round(np.clip(wave, -1, 32767 / 32768) * 32768).astype(np.int16)


def lag(wave: np.ndarray, other: np.ndarray, most: int = 8000) -> int:
    """By how many samples a signal comes later than another."""
    size = min(len(wave), len(other))
    both = signal.correlate(wave[:size], other[:size], "full", "fft")
    middle = both[max(size - 1 - most, 0):size + most]
    return int(np.argmax(middle)) - min(most, size - 1)


def placed(wave: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A delayed signal moved to where another one is, at its length."""
    late = lag(wave, like)
    wave = wave[late:] if late > 0 else np.pad(wave, (-late, 0))
    return np.pad(wave, (0, max(0, len(like) - len(wave))))[:len(like)]


def soft_clipped(wave: np.ndarray, drive: float) -> np.ndarray:
    """tanh of a signal driven beyond ±1."""
    return np.tanh(drive * wave) / np.tanh(drive) * 0.8


def limited(wave: np.ndarray, gain_db: float, milliseconds: float = 5) -> np.ndarray:
    """What a look-ahead limiter makes of a signal raised by a gain: no sample's shape is cut."""
    loud, size = wave * 10 ** (gain_db / 20), round(milliseconds * RATE / 1000) | 1
    gain = np.minimum(1, 0.9 / np.maximum(np.abs(loud), 1e-9))
    return loud * uniform_filter1d(minimum_filter1d(gain, 2 * size - 1), size)


def gated(wave: np.ndarray, milliseconds: float) -> np.ndarray:
    """Noise-gated speech: it fades to zero within so many milliseconds where it is faint."""
    level = np.sqrt(uniform_filter1d(wave**2, RATE // 20))
    wide = uniform_filter1d((level > 0.06 * level.max()).astype(float), RATE // 10) > 0.01
    size = round(milliseconds * RATE / 1000)
    return wave * uniform_filter1d(minimum_filter1d(wide.astype(float), 2 * size + 1), 2 * size - 1)


def places(wave: np.ndarray, count: int, milliseconds: float, seed: int = 0) -> list[slice]:
    """Where losses lie: in speech rather than in pauses, a packet apart at the least."""
    size = round(milliseconds * RATE / 1000)
    level = np.sqrt(uniform_filter1d(wave**2, RATE // 50))
    rng, found = np.random.default_rng(seed), list[slice]()
    for start in rng.permutation(np.arange(size, len(wave) - 2 * size, max(size, RATE // 100))):
        apart = all(abs(start - other.start) > 2 * size for other in found)
        if apart and level[start:start + size].min() > 0.1 * level.max():
            found.append(slice(int(start), int(start) + size))
        if len(found) == count:
            break
    return sorted(found, key=lambda place: place.start)


def lost(wave: np.ndarray, where: list[slice], fill: float | np.ndarray = 0.0) -> np.ndarray:
    """A signal with gaps that hold a constant, or what another signal has there."""
    out = wave.copy()
    for place in where:
        out[place] = fill if isinstance(fill, float) else fill[place]
    return out


def repeated(wave: np.ndarray, where: list[slice]) -> np.ndarray:
    """A signal whose lost packets were concealed by the packet before."""
    out = wave.copy()
    for place in where:
        size = place.stop - place.start
        out[place] = out[place.start - size:place.start]
    return out


def a_law(wave: np.ndarray) -> np.ndarray:
    """The signal after G.711 A-law, whose silence is not zero but 8/32768."""
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, "ALAW", format="WAV")
    file.seek(0)
    return soundfile.read(file)[0]


def lowpass(wave: np.ndarray, order: int, cutoff: float = 3400) -> np.ndarray:
    """A Butterworth low-pass."""
    return signal.sosfilt(signal.butter(order, cutoff, fs=RATE, output="sos"), wave)


def telephone(wave: np.ndarray, order: int) -> np.ndarray:
    """The band of a telephone, 300 to 3400 Hz."""
    band = signal.butter(order, (300, 3400), "bandpass", fs=RATE, output="sos")
    return signal.sosfilt(band, wave)


def held(wave: np.ndarray, factor: int, linear: bool = False) -> np.ndarray:
    """A signal brought down to a lower rate, and up by repeating samples or on lines."""
    low = resampled(wave, RATE, RATE // factor)
    times = np.arange(len(wave)) / factor
    up = np.interp(times, np.arange(len(low)), low) if linear else np.repeat(low, factor)
    return np.pad(up, (0, max(0, len(wave) - len(up))))[:len(wave)]


def hum(length: int, mains: float, rate: int = RATE) -> np.ndarray:
    """Mains hum: 50 or 60 Hz and nine harmonics."""
    time = np.arange(length) / rate
    return sum(np.sin(2 * np.pi * k * mains * time + k) / k for k in range(1, 11))


def brown(length: int, seed: int = 0) -> np.ndarray:
    """Noise whose power falls by 6 dB an octave above 20 Hz."""
    return signal.lfilter([1], [1, -np.exp(-2 * np.pi * 20 / RATE)], noise(length, seed))


def rumble(length: int, seed: int = 0) -> np.ndarray:
    """Noise below 80 Hz."""
    return signal.sosfilt(signal.butter(4, 80, fs=RATE, output="sos"), noise(length, seed))


def clicks(length: int, count: int, seed: int = 0) -> np.ndarray:
    """Clicks of 1 to 4 samples, either way."""
    rng, out = np.random.default_rng(seed), np.zeros(length)
    for start in rng.choice(length - 8, count, replace=False):
        size = rng.integers(1, 5)
        shape = rng.choice([-1, 1]) * rng.uniform(0.5, 1) * (-0.7) ** np.arange(size)
        out[start:start + size] += shape
    return out


def reverberant(wave: np.ndarray, t60: float, seed: int = 0) -> np.ndarray:
    """Speech in a room: the direct path, and from 3 ms on a tail 3 dB below it.

    The tail decays by 60 dB in t60 s, and is white.
    """
    time = np.arange(round(t60 * RATE)) / RATE
    room = noise(len(time), seed) * 10 ** (-3 * time / t60) * (time > 0.003)
    room *= 10 ** (-3 / 20) / np.linalg.norm(room)
    room[0] = 1
    return signal.fftconvolve(wave, room)[:len(wave)]


def tone(kind: str, hertz: float, seconds: float = 4) -> np.ndarray:
    """What is not speech: a sine, a square wave, a saw, a chord, a sweep up to some frequency."""
    phase = hertz * np.arange(round(seconds * RATE)) / RATE
    sweep = phase * phase / (2 * phase[-1])
    shapes = {"sine": lambda p: np.sin(2 * np.pi * p),
              "square": lambda p: np.sign(np.sin(2 * np.pi * p + 0.1)),
              "saw": lambda p: 2 * (p % 1) - 1,
              "sweep": lambda p: np.sin(2 * np.pi * sweep)}
    return 0.5 * shapes[kind](phase)


def music(seed: int, seconds: float = 4) -> np.ndarray:
    """Chords of plucked strings, a new one twice a second."""
    rng, out = np.random.default_rng(seed), np.zeros(round(seconds * RATE))
    for start in range(0, len(out), RATE // 2):
        time = np.arange(len(out) - start) / RATE
        root = 110 * 2 ** (rng.integers(0, 12) / 12)
        for step in (0, 4, 7, 12):
            pitch = root * 2 ** (step / 12)
            for k in range(1, int(7000 / pitch)):
                strength = np.exp(-time * (1.5 + 0.4 * k)) / k
                out[start:] += strength * np.sin(2 * np.pi * k * pitch * time + rng.uniform(0, 6))
    return 0.7 * out / np.abs(out).max()
