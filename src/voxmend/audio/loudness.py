"""How loud a recording is to a listener."""

import math
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

SILENCE = -70.0  # LUFS; the absolute gate: softer blocks do not count
SHORTEST = 3.0  # seconds; shorter signals are repeated, since blocks of 0.4 s are measured
BLOCK = 1 << 14  # samples of a frame


def loudness(wave: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness, in LUFS, by FFmpeg's filter ebur128; −∞ of silence.

    L = −0.691 + 10 log₁₀ Σ_c z_c, where z_c is the mean square of channel c, K-weighted, over the
    blocks of 0.4 s that are within 10 dB of the mean: pauses do not count. (ITU-R BS.1770-4)

    Shape: `[C, T]`, C = 1 or 2, T ≥ 1.

    Raises: ValueError for other shapes.
    """
    wave = np.asarray(wave, np.float32)
    if wave.ndim != 2 or len(wave) not in (1, 2) or not wave.shape[1]:
        raise ValueError(f"wave of shape {wave.shape}: give one or two channels, [C, T]")
    wave = np.tile(wave, math.ceil(SHORTEST * sample_rate / wave.shape[1]))
    layout = ("mono", "stereo")[len(wave) - 1]
    graph = Graph()
    source = graph.add_abuffer(sample_rate=sample_rate, format="fltp", layout=layout,
                               time_base=Fraction(1, sample_rate))
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    told = SILENCE
    for start in range(0, wave.shape[1], BLOCK):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(wave[:, start:start + BLOCK]), "fltp", layout)
        frame.sample_rate, frame.pts = sample_rate, start
        graph.push(frame)
        told = _read(graph, told)
    graph.push(None)
    told = _read(graph, told)
    return told if told > SILENCE else -math.inf


def _read(graph: Graph, told: float) -> float:
    """The integrated loudness in the last frame that the filter gives, else what was `told`."""
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return told
        told = float(frame.metadata.get("lavfi.r128.I", told))
