"""The verbs that restore a recording, draw one, and damage one."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from .options import (
    Drawing,
    In,
    Mending,
    Method,
    Options,
    Out,
    OutDir,
    Told,
    check_seed,
    load_restorer,
    parse_channels,
    parse_gaps,
    parse_number,
)


def _mend(task: str, source: Path, target: Path, common: Mending, told: Told,
          method: str = "voxmend") -> int:
    from . import files

    if common.plot and source.is_dir():
        raise ValueError("--plot draws one file: name a file as IN, not a folder")
    restorer = load_restorer(task, common, method)
    return files.each(source, files.pairs(source, target, common.overwrite),
                      lambda file, out: files.mend_file(file, out, restorer, told,
                                                        common.overwrite, common.plot))


def mend(source: In, target: Out, common: Options, dry_run: bool = False) -> int:
    """Find clipping, lost bandwidth, gaps, noise, hum, clicks; restore all.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes; a folder if the input is one.
        dry_run: Only say what is wrong; nothing is written.
    """
    if dry_run:
        from ..restore.tasks import TASKS
        from . import files

        return files.examine(source, TASKS["mend"].reports)
    return _mend("mend", source, target, common, {})


def declip(source: In, target: Out, common: Options, level: str = "auto",
           method: Method = "voxmend") -> int:
    """Declip: restore the peaks that clipping cut off.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes; a wav is written in float, since peaks may pass full scale.
        level: Where samples are cut off, as a share of full scale, 0..1; of single channels as in
            L:0.3,R:0.6 (or 1:, 2:, ...); auto finds it.
        method: voxmend; or UnDiff, as its paper states the task (undiff) or as its release runs
            it (undiff-release), both by every step of the prior's schedule, or 200 where it has
            none.
    """
    from ..restore.damage import Clipping

    told: Told = {} if level == "auto" else {"clipping": parse_channels(
        "level", level, lambda text: (Clipping(parse_number("level", text, 0, 1)),))}
    return _mend("declip", source, target, common, told, method)


def extend(source: In, target: Out, common: Options, cutoff: str = "auto",
           method: Literal["voxmend", "undiff"] = "voxmend") -> int:
    """Bandwidth extension (audio super-resolution), up to 8 kHz.

    Recordings below 16 kHz come out at 16 kHz.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes.
        cutoff: Frequency in Hz above which everything is lost; of single channels as in
            L:3000,R:4000; auto finds it.
        method: voxmend, or undiff: imputation as in its paper, by every step of the prior's
            schedule, or 200 where it has none.
    """
    told: Told = {} if cutoff == "auto" else {"cutoff": parse_channels(
        "cutoff", cutoff, lambda text: parse_number("cutoff", text, 0, 8000))}
    return _mend("extend", source, target, common, told, method)


def inpaint(source: In, target: Out, common: Options, gaps: str = "auto") -> int:
    """Inpainting: fill gaps, as of packet loss and dropouts.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes.
        gaps: START-END,... in seconds, as in 1.2-1.25,3-3.04; of single channels as in L:1.2-1.25;
            auto takes what breaks off abruptly.
    """
    told: Told = {} if gaps == "auto" else {"gaps": parse_channels("gaps", gaps, parse_gaps)}
    return _mend("inpaint", source, target, common, told)


def denoise(source: In, target: Out, common: Options, noise: str = "auto") -> int:
    """Denoise: remove stationary noise of any colour, and hum of the mains.

    Of recordings in white noise nothing above 8 kHz is kept. For noise of other kinds see voxmend
    enhance.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes.
        noise: RMS of white noise as a share of full scale; of single channels as in L:0.01; auto
            measures it in the pauses.
    """
    told: Told = {} if noise == "auto" else {"noise": parse_channels(
        "noise", noise, lambda text: parse_number("noise", text, 0, 1))}
    return _mend("denoise", source, target, common, told)


def vocode(source: In, target: Out, common: Options,
           method: Method = "voxmend") -> int:
    """Vocoder: make speech from a mel-spectrogram.

    The output has 16 kHz.

    Args:
        source: A recording, or its mel-spectrogram: .npy, [80, frames], linear, hop 256 at 16 kHz.
        target: Where the result goes.
        method: voxmend; or UnDiff, as its paper states the task (undiff) or as its release runs
            it (undiff-release), both by every step of the prior's schedule, or 200 where it has
            none.
    """
    if source.suffix.lower() != ".npy":
        return _mend("vocode", source, target, common, {}, method)
    if common.plot:
        raise ValueError("--plot compares recordings: a mel-spectrogram has no picture before")
    from . import files

    files.vocode_file(source, target, load_restorer("vocode", common, method), common.overwrite)
    return 0


def generate(outdir: OutDir, common: Drawing,
             n: Annotated[int, arg(name="number", aliases=["-n"])] = 4,
             seconds: float = 4.0,
             method: Literal["voxmend", "undiff"] = "voxmend") -> int:
    """Unconditional generation: speech-like sound from the prior.

    Args:
        outdir: Folder for 0001.wav, 0002.wav, ...
        n: How many files.
        seconds: Length of each.
        method: voxmend, or undiff: ancestral sampling by every step of the prior's schedule, or 200
            where it has none.
    """
    from . import files

    if n < 1 or not 0.1 <= seconds <= 600:
        raise ValueError("--number must be at least 1 and --seconds between 0.1 and 600")
    files.generate_files(outdir, n, seconds, load_restorer("generate", common, method),
                         common.overwrite)
    return 0


def degrade(kind: Positional[Literal["clip", "lowpass", "gaps", "noise", "quantise"]], source: In,
            target: Out, sdr: float = 3.0, cutoff: float = 4000.0, milliseconds: float = 50.0,
            every: float = 500.0, snr: float = 10.0, bits: int = 6, seed: int = 0,
            overwrite: bool = False) -> int:
    """Damage clean speech: clip, lowpass, gaps, noise, quantise.

    Args:
        kind: The damage; each has options of its own.
        source: A clean recording.
        target: Where the damaged one goes.
        sdr: For clip: signal-to-distortion ratio, dB.
        cutoff: For lowpass: frequency above which everything is lost, Hz.
        milliseconds: For gaps: length of each.
        every: For gaps: milliseconds from one to the next.
        snr: For noise: signal-to-noise ratio, dB.
        bits: For quantise: bits of a sample.
        seed: For noise: another seed, other noise.
        overwrite: Replace an output that exists already.
    """
    import numpy as np

    from .. import audio
    from ..dsp import degrade as damage

    check_seed(seed)
    reader = audio.Reader(source)
    wave, rate = np.concatenate(list(reader.blocks()), axis=1), reader.sample_rate
    make = {"clip": lambda: damage.clip(wave, damage.clip_level_for_sdr(wave, sdr)),
            "lowpass": lambda: damage.lowpass(wave, cutoff, rate),
            "gaps": lambda: damage.gaps(wave, rate, milliseconds, every)[0],
            "noise": lambda: damage.white_noise(wave, snr, seed),
            "quantise": lambda: damage.quantise(wave, bits)}
    if audio.save(target, make[kind](), rate, reader.subtype, overwrite):
        print(f"voxmend: {target}: some samples went beyond full scale and were limited",
              file=sys.stderr)
    return 0


VERBS = {verb.__name__: verb for verb in (mend, declip, extend, inpaint, denoise, vocode, generate)}
