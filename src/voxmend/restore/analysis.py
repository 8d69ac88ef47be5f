"""A blind analysis of a recording: every channel by itself, in one pass and constant memory."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import repeat

import numpy as np
import torch

from ..audio.errors import check_finite, check_layout, check_type
from .damage import Damage
from .detectors.bandwidth import Bandwidth
from .detectors.base import View, views
from .detectors.clicks import Clicks
from .detectors.clipping import Clipping
from .detectors.coloured_noise import ColouredNoise
from .detectors.drops import Drops
from .detectors.events import Events
from .detectors.gaps import Gaps
from .detectors.hum import Hum
from .detectors.noise import Noise
from .detectors.reverberation import Reverberation
from .detectors.spectra import Spectra
from .detectors.speech import Speech
from .offset import offset_of

VIEW_SECONDS, BEFORE_SECONDS, AFTER_SECONDS = 8.0, 1.1, 3.1


class Channel:
    """The detectors of one channel, in the order in which they see it and tell what they found."""

    def __init__(self, sample_rate: int):
        spectra = Spectra(sample_rate)
        self.detectors = (Events(sample_rate), Gaps(sample_rate), Drops(sample_rate),
                          Clipping(sample_rate), spectra,
                          Bandwidth(spectra), Noise(spectra), Hum(sample_rate),
                          ColouredNoise(sample_rate), Clicks(sample_rate),
                          Reverberation(sample_rate), Speech(sample_rate))
        self.energy, self.sum, self.samples, self.step = 0.0, 0.0, 0, np.inf
        self.offsets: list[float] = []

    def update(self, view: View) -> None:
        """Shows a view to every detector."""
        self.offsets.append(view.centre)
        size = np.abs(view.own)
        self.step = min(self.step, float(size.min(initial=np.inf, where=size > 0)))
        for detector in self.detectors:
            detector.update(view)
        calm = view.own[~view.events[view.inner]].astype(np.float64)
        self.energy += float(np.sum(calm**2))
        self.sum += float(np.sum(calm))
        self.samples += len(calm)

    def find(self) -> Damage:
        """What is wrong with the channel; nothing if it does not sound like speech."""
        samples = max(self.samples, 1)
        varies = self.energy / samples - (self.sum / samples) ** 2
        blank = damage = Damage(rms=float(np.sqrt(max(varies, 0.0))),
                                offset=float(np.median(self.offsets)))
        for detector in self.detectors:
            damage = detector.find(damage)
        if damage.noise and damage.noise < self.step / 2:  # the rounding of a soft channel
            damage = replace(damage, noise=None)
        return damage if damage.speech else replace(blank, speech=False)


def centre(wave: np.ndarray, sample_rate: int) -> float:
    """The sample that is nearest to the offset, so that what was rounded stays on its grid."""
    offset = offset_of(wave, sample_rate)
    return float(wave[np.abs(wave - offset).argmin()]) if offset else 0.0


def checked(blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
    """Blocks of an array, if they are what `audio.ArrayReader` takes."""
    start = 0
    for block in map(np.asarray, blocks):
        check_type(block)
        if block.ndim == 2:  # else `views` says so
            check_layout("array", sample_rate, len(block))
            check_finite("array", block, start, sample_rate)
            start += block.shape[1]
        yield block


def analyse(blocks: Iterable[np.ndarray], sample_rate: int) -> tuple[Damage, ...]:
    """The damage of every channel of a recording; channels are looked at in parallel.

    Args:
        blocks: the recording in consecutive pieces of any length; the result does not depend on
            how it is cut. Memory does not grow with the length.
        sample_rate: Hz.

    Shape: blocks `[C, n]`, float, to C damages; none of no blocks.

    Raises: AudioError for a sample rate or more channels than are handled, and for samples that are
    no finite floats; ValueError for blocks of another shape, or of another number of channels.
    """
    check_layout("array", sample_rate, 1)
    sample_rate = int(sample_rate)
    hop = Spectra(sample_rate).hop
    channels: list[Channel] = []
    pieces = views(checked(blocks, sample_rate), round(VIEW_SECONDS * sample_rate) // hop * hop,
                   round(BEFORE_SECONDS * sample_rate), round(AFTER_SECONDS * sample_rate))

    def show(channel: Channel, samples: np.ndarray, offset: int, start: int, end: int,
             last: bool) -> None:
        channel.update(View(samples, offset, start, end, last, centre(samples, sample_rate)))

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for wave, *place in pieces:
            channels = channels or [Channel(sample_rate) for _ in wave]
            list(threads.map(show, channels, wave, *(repeat(value) for value in place)))
    return tuple(channel.find() for channel in channels)
