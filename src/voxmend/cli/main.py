"""The command `voxmend`: one function per verb. Heavy imports wait until a verb runs."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro
from tyro.conf import Positional, arg

from . import speakers as speakers_verbs

Count = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]
File = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
Folder = Annotated[Path, arg(metavar="FOLDER")]
Weights = Annotated[tuple[str, ...], arg(metavar="FILE ...", help_behavior_hint="")]


@dataclass(frozen=True)
class Running:
    """Options of every verb that runs a network."""

    steps: Count = None
    """Sampling steps; by default the task's own number."""
    seed: int = 0
    """Same seed, same result."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    overwrite: bool = False
    """Replace outputs that exist already."""


@dataclass(frozen=True)
class Common(Running):
    """Options of every verb that runs a prior."""

    prior: str = "speech16k"
    """The network trained on speech: a bundled one's name (see voxmend info) or a .safetensors."""


@dataclass(frozen=True)
class Mending(Common):
    """Options of every verb that mends a recording."""

    draws: int = 1
    """Draw so many results: OUT is their mean, NAME.uncertainty their standard deviation."""
    plot: File = None
    """Write a before-and-after picture to this PNG."""


Plain = Annotated[Running, arg(name="")]
Drawing = Annotated[Common, arg(name="")]
Options = Annotated[Mending, arg(name="")]
In = Annotated[Path, tyro.conf.Positional, arg(metavar="IN")]
Out = Annotated[Path, tyro.conf.Positional, arg(metavar="OUT")]
Method = Literal["voxmend", "undiff", "undiff-release"]
Corpus = Literal["vctk", "ljspeech", "wsj0-2mix", "libri2mix", "voicebank-demand"]
Sampler = Literal["predictor_corrector", "euler", "heun", "dpmpp_2m", "ancestral"]
UnDiffTable = Literal["generate", "extend-2k", "extend-4k", "declip", "vocode", "separate"]
UNDIFF_TABLES = get_args(UnDiffTable)
ENCODERS = ("ecapa64", "ecapa128", "ecapa", "xvector", "ecapa+xvector")
OutDir = Annotated[Path, tyro.conf.Positional, arg(metavar="OUTDIR")]


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low < value <= high:
        raise ValueError(f"--{name} {text}: give auto or a number above {low:g}, at most {high:g}")
    return value


def _gaps(text: str) -> tuple[tuple[float, float], ...]:
    try:
        gaps = tuple(tuple(float(t) for t in part.split("-")) for part in text.split(","))
        if all(len(gap) == 2 and 0 <= gap[0] < gap[1] < float("inf") for gap in gaps):
            return gaps
    except ValueError:
        pass
    raise ValueError(f"--gaps {text}: give auto or START-END in seconds, as in 1.25-1.3,4-4.05")


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise ValueError(f"--seed {seed}: give 0 or more")


def _check_plot(path: Path, overwrite: bool) -> None:
    from ..benchmarks import plots  # noqa: F401, whose import says if a package is missing
    from . import files

    if path.suffix.lower() != ".png":
        raise ValueError(f"--plot {path}: give a name that ends in .png")
    files.check_free(path, overwrite)


def _restorer(task: str, common: Common, method: str = "voxmend", **options):
    from ..restore.restorer import TASKS, Restorer
    from ..systems import undiff

    draws = getattr(common, "draws", 1)
    if draws < 1 or (common.steps is not None and common.steps < 1):
        raise ValueError("--draws and --steps must be at least 1")
    _check_seed(common.seed)
    tasks = {"voxmend": TASKS, "undiff": undiff.PAPER, "undiff-release": undiff.RELEASE}[method]
    if common.steps and method != "voxmend":
        raise ValueError(f"--method {method}: takes every step of the prior's schedule; leave out "
                         "--steps")
    return Restorer(tasks[task], common.prior, common.steps, common.seed, draws, common.device,
                    **options)


def _separator(task: str, method: str, weights: Path | None, sampler: str | None,
               common: Running):
    from ..systems import separator

    if getattr(common, "prior", Common.prior) != Common.prior:
        raise ValueError(f"--method {method}: runs no prior; give --weights instead of --prior, "
                         "or --method voxmend")
    if common.steps is not None and common.steps < 1:
        raise ValueError("--steps must be at least 1")
    _check_seed(common.seed)
    return separator.load(task, method, weights, sampler, common.steps, common.seed, common.device)


def _mend(task: str, source: Path, target: Path, common: Mending, method: str = "voxmend",
          **told) -> int:
    from . import files

    if common.plot and source.is_dir():
        raise ValueError("--plot draws one file: name a file as IN, not a folder")
    if common.plot:
        _check_plot(common.plot, common.overwrite)
    restorer = _restorer(task, common, method)
    return files.each(source, files.pairs(source, target, common.overwrite),
                      lambda file, out: files.mend_file(file, out, restorer, told,
                                                        common.overwrite, common.plot))


def mend(source: In, target: Out, common: Options = Mending(), dry_run: bool = False) -> int:
    """Find what is wrong (clipping, lost bandwidth, gaps, noise) and mend it in one pass.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes; a folder if the input is one.
        dry_run: Only say what is wrong; nothing is written.
    """
    if dry_run:
        from ..restore.restorer import TASKS
        from . import files

        return files.examine(source, TASKS["mend"].finds)
    return _mend("mend", source, target, common)


def declip(source: In, target: Out, common: Options = Mending(), level: str = "auto",
           method: Method = "voxmend") -> int:
    """Mend clipping.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes; a wav is written in float, since peaks may pass full scale.
        level: Where samples are cut off, as a share of full scale, 0..1; auto finds it.
        method: voxmend, or UnDiff: as its paper states the task (undiff) or as its release runs it
            (undiff-release), both by every step of the prior's schedule, or 200 where it
            has none.
    """
    told = {} if level == "auto" else {"clip_level": _number("level", level, 0, 1)}
    return _mend("declip", source, target, common, method, **told)


def extend(source: In, target: Out, common: Options = Mending(), cutoff: str = "auto",
           method: Literal["voxmend", "undiff"] = "voxmend") -> int:
    """Restore lost bandwidth up to 8 kHz; recordings below 16 kHz come out at 16 kHz.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes.
        cutoff: Frequency in Hz above which everything is lost; auto finds it.
        method: voxmend, or undiff: imputation as in its paper, by every step of the prior's
            schedule, or 200 where it has none.
    """
    told = {} if cutoff == "auto" else {"cutoff": _number("cutoff", cutoff, 0, 8000)}
    return _mend("extend", source, target, common, method, **told)


def inpaint(source: In, target: Out, common: Options = Mending(), gaps: str = "auto") -> int:
    """Fill gaps.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes.
        gaps: START-END,... in seconds, as in 1.2-1.25,3-3.04; auto takes abrupt runs of zeros.
    """
    told = {} if gaps == "auto" else {"gaps": _gaps(gaps)}
    return _mend("inpaint", source, target, common, **told)


def denoise(source: In, target: Out, common: Options = Mending(), noise: str = "auto") -> int:
    """Remove white or stationary noise; above 8 kHz nothing is kept.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes.
        noise: RMS of the noise as a share of full scale; auto measures it in the pauses.
    """
    told = {} if noise == "auto" else {"noise": _number("noise", noise, 0, 1)}
    return _mend("denoise", source, target, common, **told)


def vocode(source: In, target: Out, common: Options = Mending(),
           method: Method = "voxmend") -> int:
    """Make speech from a mel-spectrogram; the output has 16 kHz.

    Args:
        source: A recording, or its mel-spectrogram: .npy, [80, frames], linear, hop 256 at 16 kHz.
        target: Where the result goes.
        method: voxmend, or UnDiff: as its paper states the task (undiff) or as its release runs it
            (undiff-release), both by every step of the prior's schedule, or 200 where it
            has none.
    """
    if source.suffix.lower() != ".npy":
        return _mend("vocode", source, target, common, method)
    if common.plot:
        raise ValueError("--plot compares recordings: a mel-spectrogram has no picture before")
    from . import files

    files.vocode_file(source, target, _restorer("vocode", common, method), common.overwrite)
    return 0


def separate(source: In, outdir: OutDir, common: Drawing = Common(), speakers: Count = None,
             method: Literal["diffsep", "conv-tasnet"] | Method = "diffsep",
             weights: File = None, sampler: Sampler | None = None) -> int:
    """Separate the voices of a mixture.

    Each channel of a recording is separated by itself, and a voice's channels are put together
    again. Each output has the input's rate; above the band of prior or weights it holds nothing.

    Args:
        source: A recording, or a folder of recordings.
        outdir: Folder for speaker1.wav, speaker2.wav, ...; for a folder, for one such for each.
        speakers: How many voices there are; by default as many as the weights separate, or 2.
        method: A network trained to separate: DiffSep (diffsep) or Conv-TasNet (conv-tasnet). Or
            the prior, which was not: voxmend, or UnDiff as its paper states the task (undiff) or
            as its release runs it (undiff-release), both by every step of the prior's schedule, or
            200 where it has none.
        weights: Of conv-tasnet or diffsep: a bundled name or a .safetensors; by default the
            bundled one of the method's name.
        sampler: Of diffsep, for a single draw, in 30 steps unless told. By default what suits the
            weights: the bundled ones hear the recording once in either polarity, imported ones are
            sampled as in their paper, with two network calls in each of 30 steps.
    """
    from . import files

    if method in ("diffsep", "conv-tasnet"):
        separator = _separator("separate", method, weights, sampler, common)
        if speakers not in (None, separator.sources):
            raise ValueError(f"--speakers {speakers}: these weights separate {separator.sources}; "
                             "--method voxmend takes 2 to 4")
        speakers = separator.sources
    else:
        speakers = speakers or 2
        if not 2 <= speakers <= 4:
            raise ValueError(f"--speakers {speakers}: give 2, 3 or 4")
        if weights or sampler:
            raise ValueError(f"--method {method}: takes a --prior; leave out --weights and "
                             "--sampler, which belong to diffsep and conv-tasnet")
        separator = _restorer("separate", common, method, speakers=speakers)
    items = [(source, outdir)]
    if source.is_dir():
        items = files.unfinished(source, outdir, common.overwrite, speakers)
    return files.each(source, items, lambda file, folder: files.separate_file(
        file, folder, separator, speakers, common.overwrite))


def enhance(source: In, target: Out, common: Plain = Running(),
            method: Literal["diffsep", "segan", "diffsep+refine", "segan+refine"] = "diffsep",
            weights: File = None, sampler: Sampler | None = None, keep_noise: bool = False) -> int:
    """Free speech from noise of any kind; above 8 kHz nothing is kept.

    The network was trained on noisy speech, and half its sample rate is the limit. Each channel of
    a recording is enhanced by itself, all with the same random numbers.

    Args:
        source: A recording, or a folder of recordings.
        target: Where the result goes; a folder if the input is one.
        method: DiffSep (diffsep) or SEGAN (segan); with +refine what it makes is refined, as
            voxmend refine does.
        weights: A bundled name or a .safetensors; by default the method's bundled ones.
        sampler: Of DiffSep, for a single draw, in 30 steps unless told. By default what suits the
            weights: the bundled ones hear the recording once in either polarity, imported ones are
            sampled as in their paper, with two network calls in each of 30 steps.
        keep_noise: Write what was taken away beside OUT, as NAME.noise: both add up to IN.
    """
    from ..systems.diffiner import Refiner
    from . import files

    enhancer, _, refines = method.partition("+")
    separator = _separator("enhance", enhancer, weights, sampler, common)
    refiner = Refiner(seed=common.seed, device=common.device) if refines else None
    return files.each(source, files.pairs(source, target, common.overwrite),
                      lambda file, out: files.enhance_file(file, out, separator, keep_noise,
                                                           common.overwrite, refiner))


def refine(noisy: Annotated[Path, tyro.conf.Positional, arg(metavar="NOISY")],
           enhanced: Annotated[Path, tyro.conf.Positional, arg(metavar="ENHANCED")], target: Out,
           common: Drawing = Common(),
           method: Literal["voxmend", "diffiner", "diffiner+", "diffiner-release",
                           "diffiner+-release"] = "voxmend") -> int:
    """Refine what an enhancer, any one, made of noisy speech, by a prior (Diffiner).

    What the enhancer took away tells how much noise there is at every time and frequency. Above 8
    kHz ENHANCED is kept. It may have another sample rate than NOISY and begin 20 ms apart from it;
    OUT has the rate, channels and length of NOISY.

    Args:
        noisy: A recording, or a folder of recordings.
        enhanced: What became of it; for a folder, one with files of the same names.
        target: Where the result goes; a folder if the input is one.
        method: Diffiner or Diffiner+, as in the paper or (-release) as its release runs it, in 200
            steps; or Diffiner that keeps nearer to NOISY (voxmend), in 6.
    """
    from ..systems.diffiner import Refiner
    from . import files

    if common.steps is not None and common.steps < 1:
        raise ValueError("--steps must be at least 1")
    _check_seed(common.seed)
    if noisy.is_dir() != enhanced.is_dir() and noisy.exists():
        raise ValueError(f"{enhanced}: name two recordings or two folders")
    refiner = Refiner(method, common.prior, common.steps, common.seed, common.device)

    def work(file, out):
        other = enhanced / file.relative_to(noisy) if noisy.is_dir() else enhanced
        files.refine_file(file, other, out, refiner, common.overwrite)

    return files.each(noisy, files.pairs(noisy, target, common.overwrite), work)


def generate(outdir: OutDir, common: Drawing = Common(),
             n: Annotated[int, arg(name="number", aliases=["-n"])] = 4,
             seconds: float = 4.0,
             method: Literal["voxmend", "undiff"] = "voxmend") -> int:
    """Make up speech-like sound: draw from the prior alone.

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
    files.generate_files(outdir, n, seconds, _restorer("generate", common, method),
                         common.overwrite)
    return 0


def degrade(kind: Positional[Literal["clip", "lowpass", "gaps", "noise", "quantise"]], source: In,
            target: Out, sdr: float = 3.0, cutoff: float = 4000.0, milliseconds: float = 50.0,
            every: float = 500.0, snr: float = 10.0, bits: int = 6, seed: int = 0,
            overwrite: bool = False) -> int:
    """Make damage, for trying and testing.

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

    _check_seed(seed)
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


def dataset(corpus: Positional[Corpus],
            root: Annotated[Path, tyro.conf.Positional, arg(metavar="FOLDER")], out: OutDir) -> int:
    """Split a corpus as the papers do, into a folder of links to train and measure on.

    Args:
        corpus: Speech (vctk, ljspeech), mixtures of voices (wsj0-2mix, libri2mix) or noisy speech
            (voicebank-demand).
        root: The corpus as unpacked: holds wav48 or wav48_silence_trimmed (VCTK), wavs (LJ Speech),
            wav8k/min (WSJ0-2mix, Libri2Mix; or name a folder such as wav16k/min itself),
            noisy_trainset_28spk_wav (VoiceBank-DEMAND).
        out: New folder for train/, val/ and test/, for the --data of train and, of speech, of
            bench. Of mixtures each holds mix/, s1/ and s2/, or noisy/ and clean/, whose test/
            is for the --voicebank of bench enhance.
    """
    from ..training import splits

    split = splits.CORPORA[corpus](root)
    splits.link_split(split, out)
    train, validation, test = map(splits.count, (split.train, split.validation, split.test))
    print(f"{out}: {train} files to train on, {validation} for validation, {test} to test")
    return 0


def train(recipe: Annotated[Path, tyro.conf.Positional, arg(metavar="RECIPE")], data: Folder,
          minutes: float = float("inf"), steps: Count = None, resume: bool = False,
          out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None,
          device: str = "auto", compile: bool = False, threads: Count = None,
          noise: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
          ) -> int:
    """Train a prior, a separator, an enhancer or an encoder; a killed run goes on with --resume.

    Args:
        recipe: A Python file that defines `recipe`, such as recipes/speech16k.py.
        data: Folder that holds train/ and val/ with recordings of clean speech. A separator or
            enhancer takes ready mixtures, too: s1/ and s2/, or noisy/ and clean/, in each.
        minutes: Stop after so long; what is trained by then is saved.
        steps: Train so many steps; by default the recipe's number.
        resume: Go on from the checkpoint, if there is one.
        out: Folder for checkpoint, log and weights; default runs/NAME.
        device: auto, cpu, cuda or mps.
        compile: Compile the network, which takes minutes and a C++ compiler: pays on a GPU, and
            for the Conv-TasNets on a CPU.
        threads: CPU threads; by default all.
        noise: Folder of recordings of noise, for a recipe that mixes speech with it; if it holds
            train/, only that is heard, and val/ in validation.
    """
    import torch

    from ..models import hub
    from ..training import loop

    if (steps is not None and steps < 1) or (threads is not None and threads < 1):
        raise ValueError("--steps and --threads must be at least 1")
    if threads:
        torch.set_num_threads(threads)
    loaded = loop.load_recipe(recipe)
    folder = out or Path("runs") / loaded.name
    run = loop.train(loaded, data, folder, minutes, steps, resume, str(hub.pick_device(device)),
                     compile=compile, noise=noise)
    print(f"{run.product}: use it with {loaded.use}")
    return 0


def import_(release: Positional[Literal["undiff", "diffsep", "diffsep-enhancement", "diffiner",
                                        "speechbrain-ecapa", "speechbrain-xvector"]],
            path: Annotated[Path, tyro.conf.Positional, arg(metavar="CHECKPOINT")],
            out: File = None, ema: bool = False, overwrite: bool = False) -> int:
    """Make weights of ours of a published checkpoint, of which nothing but weights is read.

    Args:
        release: Whose checkpoint it is; DiffSep has one for separation and one for enhancement,
            SpeechBrain encoders of speakers.
        path: The file as downloaded; of undiff, diffwave.ckpt or ffc_ae.ckpt (16 kHz), of diffsep,
            checkpoint.pt (8 kHz to separate, 16 kHz to enhance), of diffiner,
            pretrained_diffiner_onVB.pt (16 kHz), of speechbrain, embedding_model.ckpt (16 kHz).
        out: The weights, NAME.safetensors; by default beside the checkpoint.
        ema: Take the averaged weights of undiff, where the checkpoint has them; diffsep's are
            always taken, as its release does.
        overwrite: Replace weights that exist already.
    """
    from ..models import importers, macs

    out = out or path.with_suffix(".safetensors")
    if release == "undiff":
        card = importers.import_undiff(path, out, ema, overwrite)
        use = f"use it with --prior {out}"
    elif release.startswith("speechbrain-"):
        card = importers.import_speechbrain(path, out, release.removeprefix("speechbrain-"),
                                            overwrite)
        use = f"use it with voxmend speakers extract --encoder {out}"
    elif release == "diffiner":
        card = importers.import_diffiner(path, out, overwrite)
        use = f"use it with voxmend refine --prior {out}"
    else:
        task = "enhance" if release == "diffsep-enhancement" else "separate"
        card = importers.import_diffsep(path, out, task, overwrite)
        use = f"use it with voxmend {task} --method diffsep --weights {out}"
    size = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in card["config"].items())
    print(f"{card['network']} ({size}): "
          f"{macs.cost(card['network'], card['config'], card['sample_rate'])}")
    print(f"{out}: {use}")
    return 0


def bench(task: Positional[Literal["all", "declip", "extend", "inpaint", "denoise", "vocode",
                                   "mend"]], data: Folder, clips: Count = None,
          out: File = None, prior: str = "speech16k", seed: int = 0,
          steps: tuple[int, ...] = (8, 16, 32), device: str = "auto",
          overwrite: bool = False) -> int:
    """Measure tasks on clean speech that is damaged on the way; prints a Markdown table.

    `voxmend bench separate`, `voxmend bench enhance` (DiffSep and what it is compared with),
    `voxmend bench refine` (Diffiner after enhancers), `voxmend bench undiff` (the tables of the
    UnDiff paper), `voxmend bench speakers` and `voxmend bench embeddings` have options of their
    own.

    Args:
        task: Which task, or all, separation included.
        data: Folder of clean speech; its test/ is used where there is one.
        clips: Take only the first so many files; by default all.
        out: Write all figures to this JSON file, and the tables to the same name with .md.
        prior: A bundled prior's name (see voxmend info) or a .safetensors file.
        seed: Same seed, same figures.
        steps: Numbers of steps to compare, beside the task's own.
        device: auto, cpu, cuda or mps.
        overwrite: Replace outputs that exist already.
    """
    from ..benchmarks import restoration
    from ..models import hub

    _check_seed(seed)
    if min(steps, default=1) < 1 or (clips is not None and clips < 1):
        raise ValueError("--steps and --clips must be at least 1")
    _free_report(out, overwrite)
    result = restoration.run(task, data, clips, prior, seed, steps, str(hub.pick_device(device)),
                             save=_saver(out, restoration.markdown))
    print(restoration.markdown(result))
    return 0


def bench_separate(data: Folder, weights: Weights = (), separator: str = "conv_tasnet",
                   clips: Count = None, out: File = None, plot: File = None,
                   prior: str = "speech16k", seed: int = 0, steps: tuple[int, ...] = (8, 16, 32),
                   device: str = "auto", overwrite: bool = False) -> int:
    """Measure how well two voices are separated: by a prior, by DiffSep, by Conv-TasNet.

    Written `voxmend bench separate`. File i of n is mixed with file i + n/2; these should be
    different speakers, and it is said where by their names they are not. Everything is scored at
    the lowest rate of the models: DiffSep's is mostly 8 kHz, where PESQ is the narrow-band one.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        weights: DiffSeps (.safetensors), each with seven rows; by default the bundled one.
        separator: Conv-TasNet: a bundled name or a .safetensors.
        clips: Take only the first so many files; by default all.
        out: Write all figures to this JSON file, and the tables to the same name with .md.
        plot: Draw curves of quality against network calls into this PNG.
        prior: A bundled prior's name (see voxmend info) or a .safetensors file.
        seed: Same seed, same figures.
        steps: Numbers of steps of the prior to compare, beside its task's own.
        device: auto, cpu, cuda or mps.
        overwrite: Replace outputs that exist already.
    """
    if min(steps, default=1) < 1:
        raise ValueError("--steps must be at least 1")
    return _compare("separate", lambda comparison, save: comparison.separation(data, clips, steps,
                                                                               save),
                    weights, separator, prior, seed, device, clips, out,
                    plot, overwrite)


def bench_enhance(data: Folder, noise: Folder, weights: Weights = (),
                  voicebank: Annotated[Path | None,
                                       arg(metavar="FOLDER", help_behavior_hint="")] = None,
                  clips: Count = None, out: File = None, plot: File = None,
                  prior: str = "speech16k", seed: int = 0, device: str = "auto",
                  overwrite: bool = False) -> int:
    """Measure how well speech is parted from noise: by a filter, by a prior, by DiffSep.

    Written `voxmend bench enhance`. Every file stands in noise at 0, 5 and 10 dB.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        noise: Folder of recordings of noise; its test/ is used where there is one.
        weights: DiffSeps (.safetensors), each with seven rows; by default the bundled one.
        voicebank: Folder of real noisy recordings: noisy/ and, with the same names, clean/.
        clips: Take only the first so many files and pairs; by default all.
        out: Write all figures to this JSON file, and the tables to the same name with .md.
        plot: Draw curves of quality against network calls into this PNG.
        prior: A bundled prior's name (see voxmend info) or a .safetensors file.
        seed: Same seed, same figures.
        device: auto, cpu, cuda or mps.
        overwrite: Replace outputs that exist already.
    """
    return _compare("enhance", lambda comparison, save: comparison.enhancement(
                        data, noise, voicebank, clips, save),
                    weights, None, prior, seed, device, clips,
                    out, plot, overwrite)


def bench_refine(data: Folder, noise: Folder,
                 voicebank: Annotated[Path | None,
                                      arg(metavar="FOLDER", help_behavior_hint="")] = None,
                 clips: Count = None, out: File = None, prior: str = "speech16k", steps: int = 20,
                 segan: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None,
                 seed: int = 0, device: str = "auto", overwrite: bool = False) -> int:
    """Measure what refining makes of enhanced speech, by several enhancers and an ideal one.

    Written `voxmend bench refine`. Every file stands in noise at 0, 5 and 10 dB.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        noise: Folder of recordings of noise; its test/ is used where there is one.
        voicebank: Folder of real noisy recordings: noisy/ and, with the same names, clean/.
        clips: Take only the first so many files and pairs; by default all.
        out: Write all figures to this JSON file, and the tables to the same name with .md.
        prior: A prior of waveforms or of spectrograms: a bundled name or a .safetensors.
        steps: Of Diffiner and Diffiner+.
        segan: Weights of a SEGAN (.safetensors); by default the bundled one.
        seed: Same seed, same figures.
        device: auto, cpu, cuda or mps.
        overwrite: Replace outputs that exist already.
    """
    from ..benchmarks import diffiner, restoration
    from ..models import hub

    _check_seed(seed)
    if min(steps, 1 if clips is None else clips) < 1:
        raise ValueError("--clips and --steps must be at least 1")
    _free_report(out, overwrite)
    result = diffiner.run(data, noise, voicebank, clips, prior, steps, seed,
                          str(hub.pick_device(device)), segan,
                          save=_saver(out, restoration.markdown))
    print(restoration.markdown(result))
    return 0


def _compare(task: str, measure: Callable, weights: tuple[str, ...], separator: str | None,
             prior: str, seed: int, device: str, clips: int | None, out: Path | None,
             plot: Path | None, overwrite: bool) -> int:
    """Prints, writes and draws what `measure(comparison, save)` gives."""
    from ..benchmarks import diffsep, restoration
    from ..models import hub
    from ..systems.separator import WEIGHTS

    _check_seed(seed)
    bundled = WEIGHTS[task, "diffsep"]
    if not weights and (hub.WEIGHTS / f"{bundled}.safetensors").is_file():
        weights = (bundled,)
    if clips is not None and clips < 1:
        raise ValueError("--clips must be at least 1")
    _free_report(out, overwrite)
    if plot:
        _check_plot(plot, overwrite)
    comparison = diffsep.Comparison(task, weights, separator, prior, seed,
                                    str(hub.pick_device(device)))
    result = measure(comparison, _saver(out, restoration.markdown))
    print(restoration.markdown(result))
    if plot:
        from ..benchmarks.plots import curves

        curves(result["cases"], plot)
    return 0


def bench_undiff(data: Folder, priors: tuple[str, ...] = ("speech16k",),
                 separator: str = "conv_tasnet",
                 tables: tuple[UnDiffTable, ...] = UNDIFF_TABLES, clips: int = 48, steps: int = 20,
                 skip_exact: bool = False, out: File = None, plot: File = None, seed: int = 0,
                 device: str = "auto", overwrite: bool = False) -> int:
    """Print tables 1 to 5 of the UnDiff paper on random crops of one second of clean speech.

    Written `voxmend bench undiff`. The paper's own figures, on other data, stand below each table.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        priors: Bundled names or .safetensors files, each a row or two of every table.
        separator: Conv-TasNet of table 5: a bundled name or a .safetensors.
        tables: Which tables.
        clips: Take only so many files, spread evenly over all.
        steps: Of voxmend's own tasks.
        skip_exact: Leave out the rows that sample by all steps of the schedule, as the paper does.
        out: Write all figures to this JSON file, and the tables to the same name with .md.
        plot: Draw the paper's figure 1 (voices, mixture, separated) into this PNG.
        seed: Same seed, same figures.
        device: auto, cpu, cuda or mps.
        overwrite: Replace outputs that exist already.
    """
    from ..benchmarks import undiff
    from ..models import hub

    _check_seed(seed)
    if clips < 2 or steps < 1:
        raise ValueError("--clips must be at least 2 and --steps at least 1")
    if not tables:
        raise ValueError(f"--tables: name some of {', '.join(UNDIFF_TABLES)}")
    _free_report(out, overwrite)
    if plot:
        _check_plot(plot, overwrite)
    result = undiff.run(data, priors, separator, tables, clips, steps, not skip_exact, seed,
                        str(hub.pick_device(device)), plot,
                        save=_saver(out, undiff.markdown))
    print(undiff.markdown(result))
    return 0


def bench_speakers(data: Folder, encoders: tuple[str, ...] = ENCODERS,
                   noise: Annotated[Path | None,
                                    arg(metavar="FOLDER", help_behavior_hint="")] = None,
                   clips: Count = None, out: File = None, seed: int = 0, device: str = "auto",
                   overwrite: bool = False) -> int:
    """Measure how well encoders tell speakers apart: equal error rates on pairs of short crops.

    Written `voxmend bench speakers`. At most five crops of a file are taken, and crops of one
    speaker are the true pairs: as recorded, each through another channel, and each in other noise
    at 10 dB. The mean log-mel spectrum of a crop stands beside them.

    Args:
        data: Folder of clean speech; of one that holds val/ and test/, both by themselves.
        encoders: Bundled names or .safetensors, or several joined by "+".
        noise: Folder of recordings of noise; its test/ is used where there is one.
        clips: Take only the first so many files; by default all.
        out: Write all figures to this JSON file, and the tables to the same name with .md.
        seed: Same seed, same figures.
        device: auto, cpu, cuda or mps.
        overwrite: Replace outputs that exist already.
    """
    from ..benchmarks import encoders as tables
    from ..models import hub

    _check_seed(seed)
    if clips is not None and clips < 2:
        raise ValueError("--clips must be at least 2")
    _free_report(out, overwrite)
    result = tables.run(data, encoders, noise, clips, seed, str(hub.pick_device(device)))
    _saver(out, tables.markdown)(result)
    print(tables.markdown(result))
    return 0


def bench_embeddings(data: Annotated[tuple[Path, ...], arg(metavar="EMBEDDINGS ...")],
                     out: File = None, steps: int = 500, iterations: int = 1000, seed: int = 0,
                     overwrite: bool = False) -> int:
    """Print the table of SpeakEMB: how well drawn embeddings keep mean and variance.

    Written `voxmend bench embeddings`. On 500 and on 1000 embeddings of every file the paper's
    method is trained with each of its four schedules, and voxmend's with one.

    Args:
        data: Embeddings as voxmend speakers extract makes them, of 64, 128 and 704 dimensions.
        out: Write all figures to this JSON file, and the table to the same name with .md.
        steps: Of the schedules.
        iterations: Of each training.
        seed: Same seed, same figures.
        overwrite: Replace outputs that exist already.
    """
    from ..benchmarks import speakemb

    _check_seed(seed)
    if steps < 2 or iterations < 1:
        raise ValueError("--steps must be at least 2 and --iterations at least 1")
    _free_report(out, overwrite)
    result = speakemb.run(data, steps, iterations, seed,
                          save=_saver(out, speakemb.markdown))
    print(speakemb.markdown(result))
    return 0


def _free_report(out: Path | None, overwrite: bool) -> None:
    """Raises at once, before minutes of work, when a report cannot be written."""
    from . import files

    if out:
        if out.suffix != ".json":
            raise ValueError(f"--out {out}: give a name that ends in .json")
        for path in (out, out.with_suffix(".md")):
            files.check_free(path, overwrite)


def _saver(out: Path | None, markdown: Callable[[dict], str]) -> Callable[[dict], None]:
    """What writes a result, as far as it has come, to `out` and its tables beside it."""
    import json

    from .. import audio

    def save(result: dict) -> None:
        texts = {out: json.dumps(result, indent=2), out.with_suffix(".md"): markdown(result)}
        for path, text in texts.items():
            with audio.atomic_path(path, overwrite=True) as partial:
                partial.write_text(text + "\n")

    return save if out else lambda result: None


def info(name: Annotated[str | None, tyro.conf.Positional,
                         arg(metavar="[PRIOR]", help_behavior_hint="")] = None) -> int:
    """Show priors, networks, what they cost, licences and devices.

    Args:
        name: A prior's name or .safetensors file; without it, all bundled ones and all networks.
    """
    import torch

    from .. import __version__
    from ..models import hub, macs

    print(f"voxmend {__version__}, torch {torch.__version__}, device {hub.pick_device()}, "
          f"{torch.get_num_threads()} threads")
    for path in [hub.find_prior(name)] if name else sorted(hub.WEIGHTS.glob("*.safetensors")):
        card = hub.read_card(path)
        size = path.stat().st_size / 1e6
        print(f"\n{path.stem}  ({size:.1f} MB, sha256 {hub.file_hash(path)})")
        rate = card.get("sample_rate", 16000)
        print(f"  {macs.cost(card.get('network'), card.get('config', {}), rate)}")
        for key, value in card.items():
            print(f"  {key.replace('_', ' ')}: {value}")
    if not name:
        print("\nnetworks and their presets")
        for kind, network in hub.networks().items():
            for preset, config in network.PRESETS.items():
                print(f"  {kind} {preset}: {macs.cost(kind, config)}")
    return 0


def speakers() -> int:
    """Make, learn, draw, compare and steer embeddings of speakers; has verbs of its own."""
    return main(["speakers", "--help"])


VERBS = {verb.__name__.rstrip("_").replace("_", "-"): verb for verb in (
    mend, declip, extend, inpaint, denoise, enhance, refine, vocode, separate, generate, degrade,
    dataset, train, import_, bench, bench_separate, bench_enhance, bench_refine, bench_undiff,
    bench_speakers, bench_embeddings, speakers, info)}


def _terminate(signum, frame):
    raise KeyboardInterrupt


def main(args: list[str] | None = None) -> int:
    """Runs the command; 0 when done, 2 with one line on stderr for a bad input or option."""
    signal.signal(signal.SIGTERM, _terminate)  # so temporary files are removed then as well
    args = sys.argv[1:] if args is None else args
    if args[:1] == ["bench"] and "-".join(args[:2]) in VERBS:  # a verb with options of its own
        args = ["-".join(args[:2]), *args[2:]]
    verbs, prog, description = VERBS, "voxmend", (
        "Mend damaged speech with a diffusion prior, a network trained on clean speech. Start "
        "with: voxmend mend IN OUT")
    if args[:1] == ["speakers"] and args[1:]:
        verbs, prog, args = speakers_verbs.VERBS, "voxmend speakers", args[1:]
        description = speakers_verbs.DESCRIPTION
    try:
        status = tyro.extras.subcommand_cli_from_dict(
            verbs, prog=prog, args=args, description=description,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, head for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed at exit
        return 141  # as a shell calls SIGPIPE
    except KeyboardInterrupt:
        print("voxmend: interrupted; nothing half-written was left", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError, MemoryError, ImportError) as error:
        message = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.filename and error.strerror:
            message = f"{error.filename}: {error.strerror.lower()}"
        print("voxmend: " + " ".join(message.split()), file=sys.stderr)
        return 2
