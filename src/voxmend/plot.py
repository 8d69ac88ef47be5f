"""Pictures of recordings. Without matplotlib, importing this raises ImportError."""

from pathlib import Path

import numpy as np
from scipy.signal import stft

from . import audio

try:
    from matplotlib.figure import Figure
except ImportError:
    raise ImportError("plots need matplotlib: pip install 'voxmend[plots]'") from None


def before_after(before: np.ndarray, after: np.ndarray, rate_before: int, rate_after: int,
                 path: Path, title: str) -> None:
    """Draws waveforms and spectrograms (dB) side by side, on equal axes, into a PNG.

    Shape: waves `[C, T]`; the first channel is drawn.
    """
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row")
    peak = max(np.abs(before).max(), np.abs(after).max(), 1e-6)
    pictures = [_spectrogram(before[0], rate_before), _spectrogram(after[0], rate_after)]
    top = max(level.max() for _, _, level in pictures)
    for column, (name, wave, rate, picture) in enumerate((
            ("before", before[0], rate_before, pictures[0]),
            ("after", after[0], rate_after, pictures[1]))):
        time = np.arange(len(wave)) / rate
        axes[0, column].plot(time, wave, linewidth=0.4)
        axes[0, column].set(title=f"{title}: {name}", ylim=(-1.05 * peak, 1.05 * peak))
        seconds, kilohertz, level = picture
        image = axes[1, column].pcolormesh(seconds, kilohertz, level, vmin=top - 80, vmax=top,
                                           cmap="magma", shading="auto", rasterized=True)
        axes[1, column].set(xlabel="s", ylim=(0, max(rate_before, rate_after) / 2000))
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel("kHz")
    figure.colorbar(image, ax=axes[1], label="dB")
    _save(figure, path)


def spectrograms(waves: dict[str, np.ndarray], sample_rate: int, path: Path) -> None:
    """Draws spectrograms (dB) side by side, on equal axes, into a PNG.

    Args:
        waves: titles and signals `[T]`.
    """
    figure = Figure(figsize=(3 * len(waves), 4), layout="constrained")
    axes = figure.subplots(1, len(waves), sharex=True, sharey=True, squeeze=False)[0]
    pictures = {title: _spectrogram(wave, sample_rate) for title, wave in waves.items()}
    top = max(level.max() for _, _, level in pictures.values())
    for axis, (title, (seconds, kilohertz, level)) in zip(axes, pictures.items()):
        image = axis.pcolormesh(seconds, kilohertz, level, vmin=top - 80, vmax=top, cmap="magma",
                                shading="auto", rasterized=True)
        axis.set(title=title, xlabel="s")
    axes[0].set_ylabel("kHz")
    figure.colorbar(image, ax=axes, label="dB")
    _save(figure, path)


def _save(figure, path: Path) -> None:
    with audio.atomic_path(path, overwrite=True) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _spectrogram(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = min(len(wave), int(0.032 * rate))
    frequencies, seconds, spectrum = stft(wave, rate, nperseg=size, noverlap=size * 3 // 4)
    stride = max(1, len(seconds) // 2000)
    level = 20 * np.log10(np.abs(spectrum[:, ::stride]) + 1e-6)
    return seconds[::stride], frequencies / 1000, level
