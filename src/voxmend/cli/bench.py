"""The verbs of `voxmend bench`: tables of what methods reach."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import Positional, arg

from .options import Count, File, Folder, check_plot, check_seed

Weights = Annotated[tuple[str, ...], arg(metavar="FILE ...", help_behavior_hint="")]
UnDiffTable = Literal["generate", "extend-2k", "extend-4k", "declip", "vocode", "separate"]
UNDIFF_TABLES = get_args(UnDiffTable)
ENCODERS = ("ecapa64", "ecapa128", "ecapa", "xvector", "ecapa+xvector")


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

    check_seed(seed)
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

    check_seed(seed)
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

    check_seed(seed)
    bundled = WEIGHTS[task, "diffsep"]
    if not weights and (hub.WEIGHTS / f"{bundled}.safetensors").is_file():
        weights = (bundled,)
    if clips is not None and clips < 1:
        raise ValueError("--clips must be at least 1")
    _free_report(out, overwrite)
    if plot:
        check_plot(plot, overwrite)
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

    check_seed(seed)
    if clips < 2 or steps < 1:
        raise ValueError("--clips must be at least 2 and --steps at least 1")
    if not tables:
        raise ValueError(f"--tables: name some of {', '.join(UNDIFF_TABLES)}")
    _free_report(out, overwrite)
    if plot:
        check_plot(plot, overwrite)
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

    check_seed(seed)
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

    check_seed(seed)
    if steps < 2 or iterations < 1:
        raise ValueError("--steps must be at least 2 and --iterations at least 1")
    _free_report(out, overwrite)
    result = speakemb.run(data, steps, iterations, seed,
                          save=_saver(out, speakemb.markdown))
    print(speakemb.markdown(result))
    return 0


def _free_report(out: Path | None, overwrite: bool) -> None:
    """Raises at once, before minutes of work, when a report cannot be written."""
    from .. import audio

    if out:
        if out.suffix != ".json":
            raise ValueError(f"--out {out}: give a name that ends in .json")
        for path in (out, out.with_suffix(".md")):
            audio.check_free(path, overwrite)


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
