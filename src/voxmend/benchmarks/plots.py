"""Pictures of recordings. Without matplotlib, importing this raises ImportError."""

from pathlib import Path

import numpy as np
from scipy.signal import stft

from .. import audio
from ..metrics import COLUMNS
from .rivals import bare

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


def ranking(rows: list[dict], metric: str, path: Path) -> None:
    """Draws what each row reaches in a metric, with its interval, the best on top, into a PNG."""
    known = sorted((row for row in rows if row.get(metric) is not None),
                   key=lambda row: row[metric])
    figure = Figure(figsize=(7, 1 + 0.35 * len(known)), layout="constrained")
    axis = figure.subplots()
    for height, row in enumerate(known):
        low, high = row.get("intervals", {}).get(metric) or (row[metric], row[metric])
        axis.plot([low, high], [height, height], color="tab:blue", alpha=0.5)
        axis.plot(row[metric], height, "o", color="tab:blue")
    axis.set_yticks(range(len(known)), [bare(row["method"]) for row in known])
    axis.set_xlabel(COLUMNS[metric][0])
    axis.grid(axis="x", alpha=0.3)
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
    for axis, (title, (seconds, kilohertz, level)) in zip(axes, pictures.items(), strict=True):
        image = axis.pcolormesh(seconds, kilohertz, level, vmin=top - 80, vmax=top, cmap="magma",
                                shading="auto", rasterized=True)
        axis.set(title=title, xlabel="s")
    axes[0].set_ylabel("kHz")
    figure.colorbar(image, ax=axes, label="dB")
    _save(figure, path)


def curves(cases: dict[str, list[dict]], path: Path) -> None:
    """Draws a benchmark's scores against network calls into a PNG, a row of plots for every case.

    Rows of the same name up to its last comma are one curve; what calls no network is a line.
    """
    shown = ("si_snr", "pesq_wb", "pesq_nb", "estoi", "dnsmos")
    metrics = [name for name in shown if any(name in row for rows in cases.values()
                                             for row in rows)]
    figure = Figure(figsize=(3.5 * len(metrics), 2.8 * len(cases) + 1), layout="constrained")
    grid = figure.subplots(len(cases), len(metrics), sharex=True, squeeze=False)
    colours: dict[str, str] = {}
    for (case, rows), axes in zip(cases.items(), grid, strict=True):
        axes[0].set_title(case, loc="left", weight="bold")
        for name, axis in zip(metrics, axes, strict=True):
            curve: dict[str, list] = {}
            for row in (row for row in rows if row[name] is not None):
                label = row["method"].rpartition(", ")[0] if row["calls"] else ""
                curve.setdefault(label or row["method"], []).append((row["calls"], row[name]))
            for label, points in curve.items():
                colour = colours.setdefault(label, f"C{len(colours)}")
                calls, scores = zip(*sorted(points), strict=True)
                if any(calls):
                    axis.plot(calls, scores, "o-", color=colour, label=label)
                else:
                    axis.axhline(scores[0], linestyle="--", color=colour, label=label)
            axis.set_ylabel(COLUMNS[name][0])
    for axis in grid[-1]:
        axis.set_xscale("log")
        axis.set_xticks((1, 5, 10, 20, 30, 60), (1, 5, 10, 20, 30, 60))
        axis.minorticks_off()
        axis.set_xlabel("network calls")
    drawn = {label: line for axis in grid.flat
             for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=4)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with audio.atomic_path(path, overwrite=True) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _spectrogram(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = min(len(wave), int(0.032 * rate))
    frequencies, seconds, spectrum = stft(wave, rate, nperseg=size, noverlap=size * 3 // 4)
    stride = max(1, len(seconds) // 2000)
    level = 20 * np.log10(np.abs(spectrum[:, ::stride]) + 1e-6)
    return seconds[::stride], frequencies / 1000, level
