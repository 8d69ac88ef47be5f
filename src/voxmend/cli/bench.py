"""The verbs of `voxmend bench`: tables of what methods reach."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import Positional, arg

from .options import (
    Comparing,
    File,
    Folder,
    Judging,
    MaybeFolder,
    Measuring,
    Report,
    Weights,
    check_least,
    check_plot,
)
from .pages import Page

Task = Literal["all", "declip", "extend", "inpaint", "denoise", "vocode", "mend"]
UnDiffTable = Literal["generate", "extend-2k", "extend-4k", "declip", "vocode", "separate"]
PublicSet = Literal["voicebank-demand", "dns-2020", "vctk-16k", "libri2mix"]
UNDIFF_TABLES = get_args(UnDiffTable)
ENCODERS = ("ecapa64", "ecapa128", "ecapa", "xvector", "ecapa+xvector")
Plain = Annotated[Report, arg(name="")]
Options = Annotated[Measuring, arg(name="")]
Judged = Annotated[Judging, arg(name="")]
Compared = Annotated[Comparing, arg(name="")]


@dataclass(frozen=True)
class Cropping(Measuring):
    """Options of the verb that prints UnDiff's tables."""

    clips: int = 48
    """Take only so many files, spread evenly over all."""
    plot: File = None
    """Draw the paper's figure 1 (voices, mixture, separated) into this PNG."""

    def check(self, fewest: int = 2) -> None:
        """Raises ValueError, too, for a picture that cannot be drawn."""
        super().check(fewest)
        check_plot(self.plot, self.overwrite)


def bench(task: Positional[Task], data: Folder, common: Judged,
          prior: Weights = None, steps: tuple[int, ...] = (8, 16, 32)) -> int:
    """Restoration: declip, extend, inpaint, denoise, vocode, mend, all.

    Damages clean speech, restores it, and prints a Markdown table of the scores.

    Args:
        task: Which task, or all, separation included.
        data: Folder of clean speech; its test/ is used where there is one.
        prior: A bundled prior's name (see voxmend info) or a .safetensors file; by default each
            task's own.
        steps: Numbers of steps to compare, beside the task's own.
    """
    from ..benchmarks import restoration

    check_least(1, steps=min(steps, default=1))
    common.check()
    result = restoration.run(task, data, common.clips, prior, common.seed, steps,
                             common.pick_device(), save=common.saver(restoration.markdown),
                             precision=common.precision, judges=common.judges,
                             only=common.only)
    print(restoration.markdown(result))
    return 0


def bench_separate(data: Folder, common: Compared,
                   separators: tuple[str, ...] = ("frame_separator", "conv_tasnet"),
                   steps: tuple[int, ...] = (8, 16, 32), noise: MaybeFolder = None,
                   quick: bool = False) -> int:
    """Source separation: two voices, by trained networks and a prior.

    File i of n is mixed with file i + n/2; these should be different speakers, and it is said where
    by their names they are not. Everything is scored at the lowest rate of the models: DiffSep's is
    mostly 8 kHz, where PESQ is the narrow-band one. Rows "told" are of a conditional prior, given
    the mixture less an estimate of the other voice. More tables show, for networks as voxmend
    separate runs them, the influence of the speakers' sexes (of a manifest.csv beside the files),
    of overlap and of noise, and what becomes of a single voice.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        separators: Networks trained to separate: bundled names or .safetensors.
        steps: Numbers of steps of the prior to compare, beside its task's own.
        noise: Folder of recordings of noise; its test/ is used where there is one.
        quick: Leave out the prior, and DiffSep by more than two calls.
    """
    check_least(1, steps=min(steps, default=1))
    return _compare("separate", common, separators, lambda comparison, save: comparison.separation(
        data, common.clips, steps, save, noise, quick))


def bench_enhance(data: Folder, noise: Folder, common: Compared,
                  voicebank: MaybeFolder = None, rivals: bool = False,
                  quick: bool = False) -> int:
    """Speech enhancement: noise removed by a filter, priors and DiffSep.

    Every file stands in noise at 0, 5 and 10 dB.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        noise: Folder of recordings of noise; its test/ is used where there is one.
        voicebank: Folder of real noisy recordings: noisy/ and, with the same names, clean/; --clips
            holds for them, too.
        rivals: A row for every other tool that is installed, on the same clips.
        quick: Leave out the prior's own task, and DiffSep by more than two calls.
    """
    return _compare("enhance", common, (), lambda comparison, save: comparison.enhancement(
        data, noise, voicebank, common.clips, save, quick), rivals)


def _compare(task: str, common: Comparing, separators: tuple[str, ...], measure: Callable,
             rivals: bool = False) -> int:
    """Prints, writes and draws what `measure(comparison, save)` gives."""
    from ..benchmarks import diffsep, restoration
    from ..models import hub
    from ..systems.weights import WEIGHTS

    common.check()
    bundled = WEIGHTS[task, "diffsep"]
    if not common.weights and (hub.WEIGHTS / f"{bundled}.safetensors").is_file():
        common = replace(common, weights=(bundled,))
    told: str | None = WEIGHTS["enhance", "voxmend"]
    if not (hub.WEIGHTS / f"{told}.safetensors").is_file():
        told = None
    comparison = diffsep.Comparison(task, common.weights, separators, common.prior, common.seed,
                                    common.pick_device(), enhancer=told, precision=common.precision,
                                    judges=common.judges, compared=rivals, only=common.only)
    result = measure(comparison, common.saver(restoration.markdown))
    print(restoration.markdown(result))
    if common.plot:
        from ..benchmarks.plots import curves

        curves(result["cases"], common.plot)
    return 0


def bench_dereverb(data: Folder, common: Judged, weights: Weights = None,
                   rivals: bool = False) -> int:
    """Dereverberation: speech in synthetic rooms, T60 0.3 to 0.9 s.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        weights: A conditional prior: a bundled name or a .safetensors.
        rivals: A row for every other tool that is installed, on the same clips.
    """
    from ..benchmarks import dereverb, restoration

    common.check()
    result = dereverb.run(data, common.clips, weights, common.seed,
                          common.pick_device(), save=common.saver(restoration.markdown),
                          precision=common.precision, judges=common.judges, compared=rivals,
                          only=common.only)
    print(restoration.markdown(result))
    return 0


def bench_refine(data: Folder, noise: Folder, common: Judged,
                 voicebank: MaybeFolder = None, prior: str = "speech16k", steps: int = 20,
                 segan: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None,
                 rivals: bool = False) -> int:
    """Diffiner: speech refined after several enhancers and an ideal one.

    Every file stands in noise at 0, 5 and 10 dB.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        noise: Folder of recordings of noise; its test/ is used where there is one.
        voicebank: Folder of real noisy recordings: noisy/ and, with the same names, clean/;
            --clips holds for them, too.
        prior: A prior of waveforms or of spectrograms: a bundled name or a .safetensors.
        steps: Of Diffiner and Diffiner+.
        segan: Weights of a SEGAN (.safetensors); by default the bundled one.
        rivals: Other tools that are installed as front ends, too.
    """
    from ..benchmarks import diffiner, restoration

    check_least(1, steps=steps)
    common.check()
    result = diffiner.run(data, noise, voicebank, common.clips, prior, steps, common.seed,
                          common.pick_device(), segan, save=common.saver(restoration.markdown),
                          precision=common.precision, judges=common.judges, compared=rivals,
                          only=common.only)
    print(restoration.markdown(result))
    return 0


def bench_protocol(name: Positional[PublicSet], data: Folder, common: Judged,
                   rivals: bool = False, refine: bool = False, sounds: MaybeFolder = None) -> int:
    """Public test sets as papers measure them.

    Whole recordings, with the published figures of other systems below.

    Args:
        name: The test set: enhancement (voicebank-demand, dns-2020), bandwidth extension from 8 and
            from 4 kHz (vctk-16k), or separation (libri2mix).
        data: Folder of the corpus, as it is unpacked.
        rivals: Of enhancement, a row for every other tool that is installed.
        refine: Of enhancement, add rows with the output of every enhancer refined.
        sounds: Write every row's output for the first five recordings there.
    """
    from ..benchmarks import protocols

    common.check()
    result = protocols.run(name, data, common.clips, common.seed, common.pick_device(),
                           save=common.saver(protocols.markdown), precision=common.precision,
                           judges=common.judges, compared=rivals, refined=refine,
                           only=common.only, sounds=sounds)
    print(protocols.markdown(result))
    return 0


def bench_undiff(data: Folder, common: Annotated[Cropping, arg(name="")],
                 priors: tuple[str, ...] = ("speech16k",), separator: str = "conv_tasnet",
                 tables: tuple[UnDiffTable, ...] = UNDIFF_TABLES, steps: int = 20,
                 skip_exact: bool = False) -> int:
    """Tables 1 to 5 of the UnDiff paper, on random crops of one second.

    The paper's own figures, on other data, stand below each table.

    Args:
        data: Folder of clean speech; its test/ is used where there is one.
        priors: Bundled names or .safetensors files, each a row or two of every table.
        separator: Conv-TasNet of table 5: a bundled name or a .safetensors.
        tables: Which tables.
        steps: Of voxmend's own tasks.
        skip_exact: Leave out the rows that sample by all steps of the schedule, as the paper does.
    """
    from ..benchmarks import undiff

    check_least(1, steps=steps)
    if not tables:
        raise ValueError(f"--tables: name some of {', '.join(UNDIFF_TABLES)}")
    common.check()
    result = undiff.run(data, priors, separator, tables, common.clips, steps, not skip_exact,
                        common.seed, common.pick_device(), common.plot,
                        save=common.saver(undiff.markdown), precision=common.precision)
    print(undiff.markdown(result))
    return 0


def bench_speakers(data: Folder, common: Options,
                   encoders: tuple[str, ...] = ENCODERS, noise: MaybeFolder = None) -> int:
    """Speaker verification: equal error rates of encoders on short crops.

    At most five crops of a file are taken, and crops of one speaker are the true pairs: as
    recorded, each through another channel, and each in other noise at 10 dB. The mean log-mel
    spectrum of a crop stands beside them.

    Args:
        data: Folder of clean speech; of one that holds val/ and test/, both by themselves.
        encoders: Bundled names or .safetensors, or several joined by "+".
        noise: Folder of recordings of noise; its test/ is used where there is one.
    """
    from ..benchmarks import encoders as tables

    common.check(fewest=2)
    result = tables.run(data, encoders, noise, common.clips, common.seed, common.pick_device(),
                        common.precision)
    common.saver(tables.markdown)(result)
    print(tables.markdown(result))
    return 0


def bench_embeddings(data: Annotated[tuple[Path, ...], arg(metavar="EMBEDDINGS ...")],
                     common: Plain, steps: int = 500, iterations: int = 1000) -> int:
    """SpeakEMB's table: how well drawn embeddings keep mean and variance.

    On 500 and on 1000 embeddings of every file the paper's method is trained with each of its four
    schedules, and voxmend's with one.

    Args:
        data: Embeddings as voxmend speakers extract makes them, of 64, 128 and 704 dimensions.
        steps: Of the schedules.
        iterations: Of each training.
    """
    from ..benchmarks import speakemb

    check_least(2, steps=steps)
    check_least(1, iterations=iterations)
    common.check()
    result = speakemb.run(data, steps, iterations, common.seed,
                          save=common.saver(speakemb.markdown))
    print(speakemb.markdown(result))
    return 0


VERBS = {verb.__name__.removeprefix("bench_"): verb for verb in (
    bench_separate, bench_enhance, bench_dereverb, bench_refine, bench_protocol, bench_undiff,
    bench_speakers, bench_embeddings)}
PAGE = Page(
    "voxmend bench", "[-h] TASK|VERB ...",
    "Benchmark restoration, separation, enhancement, encoders.",
    "voxmend bench declip --data speech/", {"": {"TASK": bench, **VERBS}},
    "All print Markdown tables. voxmend bench TASK --help shows what a task takes,\n"
    "voxmend bench VERB --help what a verb does.", other=bench)
