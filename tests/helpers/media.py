"""Signals and files for tests of audio files, made by PyAV and not by the package."""

from fractions import Fraction

import av
import numpy as np

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def speechlike(channels, samples, seed=0):
    """Smooth noise at RMS 0.1, which lossy codecs keep. Shape: `[channels, samples]`."""
    noise = np.random.default_rng(seed).standard_normal((channels, samples + 15))
    smooth = sum(noise[:, k:k + samples] for k in range(16)) / 4
    return (0.1 * smooth).astype(np.float32)


def snr_db(reference, estimate):
    return 10 * np.log10(np.sum(reference**2) / np.sum((reference - estimate) ** 2))


def lag(reference, estimate):
    """Samples by which the first channel of one is later, by their cross-correlation."""
    size = 2 * max(reference.shape[1], estimate.shape[1])
    spectra = [np.fft.rfft(wave[0], size) for wave in (reference, estimate)]
    best = int(np.fft.irfft(spectra[0].conj() * spectra[1], size).argmax())
    return best if best < size // 2 else best - size


def frames(wave, rate, first=0, size=1600):
    """A signal as libav's frames, which begin at sample `first`."""
    for start in range(0, wave.shape[1], size):
        block = np.ascontiguousarray(wave[:, start:start + size], np.float32)
        frame = av.AudioFrame.from_ndarray(block, "fltp", LAYOUTS[len(wave)])
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = first + start
        yield frame


def encode(path, wave, rate, codec, container=None, bit_rate=96_000, tags=(), **options):
    """Writes a signal by libav."""
    with av.open(str(path), "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=rate, layout=LAYOUTS[len(wave)])
        stream.bit_rate = bit_rate
        out.metadata.update(dict(tags))
        for frame in (*frames(wave, rate), None):
            out.mux(stream.encode(frame))


def decode(path):
    """What libav makes of a file, nothing left out. Shape: `[C, T]`."""
    with av.open(str(path)) as file:
        resampler = av.AudioResampler("fltp")
        parts = [out.to_ndarray() for frame in file.decode(audio=0)
                 for out in resampler.resample(frame)]
    return np.concatenate(parts, axis=1)


def film(path, wave, rate, codec="aac", picture="mpeg4", subtitles=None, late=0):
    """Writes two seconds of pictures with sound that begins `late` samples after them.

    `subtitles` is a file of them.
    """
    texts = av.open(str(subtitles)) if subtitles else None
    with av.open(str(path), "w", options={"movie_timescale": str(rate)}) as out:
        video = out.add_stream(picture, rate=25, width=64, height=48, pix_fmt="yuv420p")
        sound = out.add_stream(codec, rate=rate, layout=LAYOUTS[len(wave)])
        other = out.add_stream(codec, rate=rate, layout="mono")
        sound.bit_rate = other.bit_rate = 128_000
        text = out.add_stream_from_template(texts.streams[0]) if texts else None
        out.metadata["title"], sound.metadata["language"] = "A film", "fra"
        other.metadata["language"] = "deu"
        out.set_chapters([{"id": k, "start": k * 1000, "end": k * 1000 + 1000,
                           "time_base": Fraction(1, 1000), "metadata": {"title": f"part {k}"}}
                          for k in range(2)])
        for number, image in enumerate(np.random.default_rng(0).integers(0, 255, (50, 48, 64, 3))):
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8))
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for packet in texts.demux() if texts else ():
            if packet.size:
                packet.stream = text
                out.mux(packet)
        for stream, signal in ((sound, wave), (other, wave[:1])):
            for frame in (*frames(signal, rate, late), None):
                out.mux(stream.encode(frame))
