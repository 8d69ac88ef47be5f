"""Damage made on purpose: clipping, lost bandwidth, gaps, noise, coarse quantisation.

Every function works along the last axis of a float array, `[channels, T]` or `[T]`, returns a new
array of the same dtype and leaves its input alone.
"""

import numpy as np
import scipy  # whose parts are loaded where they are used


def clip(wave: np.ndarray, level: float) -> np.ndarray:
    """Hard clipping, y = max(−L, min(x, L)).

    Args:
        level: L, in the wave's own amplitude units; raises ValueError unless positive.

    Shape: `[..., T]` to the same.

    >>> clip(np.array([-1.0, 0.2, 0.7]), 0.5)
    array([-0.5,  0.2,  0.5])
    """
    if level <= 0:
        raise ValueError(f"the clip level must be positive, not {level}")
    return np.clip(wave, -level, level)


def clip_level_for_sdr(wave: np.ndarray, sdr_db: float) -> float:
    """Clip level L that leaves a signal-to-distortion ratio, 20 log₁₀(‖x‖/‖x − clip(x, L)‖) = SDR.

    Args:
        sdr_db: dB; raises ValueError unless positive, or when the wave is silent.

    Shape: `[..., T]`, one level for the whole array. Source: Záviška et al. 2021, "A survey and an
    extensive evaluation of popular audio declipping methods", eq. 31.
    """
    magnitude = np.abs(wave).astype(np.float64)
    norm, peak = np.linalg.norm(magnitude), magnitude.max(initial=0.0)
    if norm == 0:
        raise ValueError("silence cannot be clipped")
    if not 0 < sdr_db < np.inf:
        raise ValueError(f"no clip level gives {sdr_db:g} dB SDR: give more than 0 dB")
    allowed = norm * 10 ** (-sdr_db / 20)
    def excess(level: float) -> float:
        return float(np.linalg.norm(np.maximum(magnitude - level, 0)) - allowed)

    return float(scipy.optimize.brentq(excess, 0.0, peak, xtol=1e-9 * peak))


def lowpass_taps(cutoff: float, sample_rate: int, width: float = 200.0,
                 attenuation: float = 80.0) -> np.ndarray:
    """Symmetric Kaiser-windowed sinc, −6 dB at the cutoff, of odd length and unit gain at 0 Hz.

    Args:
        cutoff: Hz; raises ValueError unless cutoff ± width/2 lies within 0…sample_rate/2.
        width: Hz from the end of the pass band to the start of the stop band.
        attenuation: of the stop band, in dB.

    Shape: `[taps]`, float64; about (attenuation − 8)·sample_rate/(14.36·width) taps.
    Source: Kaiser 1974, "Nonrecursive digital filter design using the I₀-sinh window function".
    """
    if not width / 2 < cutoff < sample_rate / 2 - width / 2:
        raise ValueError(f"a cutoff of {cutoff} Hz ± {width / 2:g} Hz does not fit in "
                         f"0…{sample_rate / 2:g} Hz")
    taps, beta = scipy.signal.kaiserord(attenuation, width / (sample_rate / 2))
    return scipy.signal.firwin(taps | 1, cutoff, window=("kaiser", beta), fs=sample_rate)


def lowpass(wave: np.ndarray, cutoff: float, sample_rate: int) -> np.ndarray:
    """Linear-phase, zero-delay low-pass, y = h ∗ x with h from `lowpass_taps`, zeros outside.

    Args:
        cutoff: Hz, where the gain is −6 dB; raises ValueError as `lowpass_taps` does.
        sample_rate: Hz.

    Shape: `[..., T]` to the same.
    """
    wave = np.asarray(wave)
    taps = lowpass_taps(cutoff, sample_rate).reshape((1,) * (wave.ndim - 1) + (-1,))
    return scipy.signal.oaconvolve(wave, taps, mode="same", axes=-1).astype(wave.dtype)


def gaps(wave: np.ndarray, sample_rate: int, milliseconds: float = 50.0,
         every: float = 500.0) -> tuple[np.ndarray, np.ndarray]:
    """Zeros at regular places, y = m·x, the first gap starting at every/2.

    Args:
        sample_rate: Hz.
        milliseconds: length of a gap.
        every: milliseconds from one gap's start to the next's; raises ValueError unless longer
            than a gap.

    Returns:
        the wave with gaps, and the mask m: true where the signal is kept.

    Shape: `[..., T]` to `[..., T]` and `[T]` (bool).
    """
    length, period = (np.round(t * sample_rate / 1000) for t in (milliseconds, every))
    if not 1 <= length < period < np.inf:
        raise ValueError(f"gaps of {milliseconds:g} ms do not fit in one every {every:g} ms")
    wave = np.asarray(wave)
    phase = np.arange(wave.shape[-1]) - period // 2
    kept = (phase < 0) | (phase % period >= length)
    return wave * kept.astype(wave.dtype), kept


def white_noise(wave: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    """White Gaussian noise, y = x + n with 20 log₁₀(‖x‖/‖n‖) = SNR exactly.

    Args:
        snr_db: dB, over the whole array; raises ValueError beyond ±200.
        seed: of numpy's default generator.

    Shape: `[..., T]` to the same.
    """
    if not -200 <= snr_db <= 200:
        raise ValueError(f"an SNR of {snr_db:g} dB: give one from -200 to 200")
    wave = np.asarray(wave)
    noise = np.random.default_rng(seed).standard_normal(wave.shape)
    noise *= np.linalg.norm(wave) / max(float(np.linalg.norm(noise)), 1e-30) * 10 ** (-snr_db / 20)
    return (wave + noise).astype(wave.dtype)


def quantise(wave: np.ndarray, bits: int) -> np.ndarray:
    """Uniform quantisation to integer PCM, y = round(x·2^{b−1})/2^{b−1} within −1…1 − 2^{1−b}.

    Args:
        bits: b of the code; raises ValueError unless 2 to 32.

    Shape: `[..., T]` to the same.

    >>> quantise(np.array([0.3, 1.0, -1.0]), 3)
    array([ 0.25,  0.75, -1.  ])
    """
    if not 2 <= bits <= 32:
        raise ValueError(f"quantisation to {bits} bits: give 2 to 32")
    wave, steps = np.asarray(wave), 2 ** (bits - 1)
    return (np.round(wave * steps).clip(-steps, steps - 1) / steps).astype(wave.dtype)
