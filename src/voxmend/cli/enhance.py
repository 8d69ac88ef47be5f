"""The verbs that take recordings apart: voices, and speech from noise."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from tyro.conf import Positional, arg

from ..models import remote
from .options import (
    Calling,
    Common,
    Count,
    Decibels,
    Drawing,
    File,
    Method,
    Once,
    Paths,
    Plain,
    Weights,
    load_restorer,
    load_separator,
)

if TYPE_CHECKING:
    from ..restore.restorer import Restorer
    from ..systems.conversation import Conversation
    from ..systems.deepfilternet import DeepFilterNet
    from ..systems.separator import Separator
    from .jobs import Work

Sampler = Literal["predictor_corrector", "euler", "heun", "dpmpp_2m", "ancestral"]
MaybeSampler = Annotated[Sampler | None, arg(metavar=f"{{{','.join(get_args(Sampler))}}}",
                                             help_behavior_hint="")]
Refining = Literal["voxmend", "diffiner", "diffiner+", "diffiner-release", "diffiner+-release"]
Trained = Literal["frame-separator", "diffsep", "conv-tasnet"]  # to separate


PathsOfFolders = Annotated[tuple[str, ...], Positional,
                           arg(name="paths", metavar="IN ... OUTDIR", help_behavior_hint="")]


def separate(paths: PathsOfFolders, common: Drawing, speakers: Count = None,
             method: Trained | Method = "frame-separator",
             weights: Weights = None, sampler: MaybeSampler = None, enrol: File = None) -> int:
    """Source separation: take the voices of a mixture apart.

    Each channel of a recording is separated by itself, and a voice's channels are put together
    again. Each output has the input's rate; the band above the weights' is shared out as the
    network shares the one below, and by the prior nothing is left there.
    By default noise goes to neither voice. Trained networks know two voices: of a third who speaks
    at the same time most is heard in the file of one of the two.

    Args:
        paths: A recording, or several or folders of them, and the folder for speaker1.wav,
            speaker2.wav, ...; for several, for one such for each. - is stdin.
        speakers: How many voices there are; by default as many as the weights separate, or 2.
        method: A network trained to separate: a ConvNeXt over STFT frames with attention
            (frame-separator), DiffSep (diffsep) or Conv-TasNet (conv-tasnet). Or the prior, which
            was not: voxmend, or UnDiff as its paper states the task (undiff) or as its release runs
            it (undiff-release), both by every step of the prior's schedule, or 200 where it has
            none.
        weights: Of a trained network: a bundled name, a .safetensors, or hf://OWNER/NAME[@REVISION]
            on the Hugging Face Hub; by default the bundled one of the method's name.
        sampler: Of diffsep, for a single draw, in 30 steps unless told. By default what suits the
            weights: the bundled ones hear the recording once in either polarity, imported ones are
            sampled as in their paper, with two network calls in each of 30 steps.
        enrol: A recording of somebody, best of 4 s or more: only the voice that is most alike is
            written, as speaker1.wav. Of a trained network.
    """
    from . import folders, html, jobs, sidecars

    common, weights = common.pinned(), weights and remote.pin(weights)
    if method in get_args(Trained):
        speakers = _count_voices(method, weights, speakers)
        speakers = 1 if enrol else speakers
    else:
        speakers = speakers or 2
        if not 2 <= speakers <= 4:
            raise ValueError(f"--speakers {speakers}: give 2, 3 or 4")
        if weights or sampler or enrol:
            raise ValueError(f"--method {method}: takes a --prior; leave out --weights, --sampler "
                             "and --enrol, which belong to networks trained to separate")
    plan = folders.make_plan(paths, lambda out: folders.voices(out, speakers), into_folder=True)
    settings = sidecars.settings(common, speakers=speakers, method=method, weights=weights,
                                 sampler=sampler, enrol=enrol)
    load = partial(load_divider, common, speakers, method, weights, sampler, enrol)
    verb = jobs.Verb("separate", settings, load, common.overwrite, common.workers, common.ray)
    names = ("recording", *(f"speaker {k + 1}" for k in range(speakers)))
    return html.run(verb, plan, common,
                    html.Shown(names, place=lambda job: job.outputs[0].parent))


def _count_voices(method: str, weights: str | None, told: int | None) -> int:
    """How many voices weights separate; raises ValueError if another number is told."""
    from ..models import hub
    from ..systems.weights import count_sources, find_weights

    card = hub.read_card(find_weights("separate", method, weights))
    sources = count_sources(card)
    if told not in (None, sources):
        raise ValueError(f"--speakers {told}: these weights separate {sources}; "
                         "--method voxmend takes 2 to 4")
    return sources


def load_divider(common: Common, speakers: int, method: str, weights: str | None,
                 sampler: Sampler | None, enrol: Path | None) -> "Work":
    """What takes voices apart."""
    from . import files, jobs

    separator: Restorer | Conversation
    if method in get_args(Trained):
        separator = _converse(load_separator("separate", method, weights, sampler, common), enrol,
                              common.device)
    else:
        separator = load_restorer("separate", common, method, speakers=speakers)
    return jobs.Work(lambda inputs, outputs, streaming: files.separate_file(
        inputs[0], outputs, separator, streaming, common.handling), (separator.stream,))


def _converse(separator: "Separator", enrol: Path | None, device: str) -> "Conversation":
    """A separator whose people keep their places, the one of a recording first."""
    from .. import audio
    from ..systems.conversation import converse
    from ..systems.takes import RATE

    if not enrol:
        return converse(separator, device=device)
    voice = audio.mixdown(audio.load(enrol, RATE))
    try:
        found = converse(separator, voice, device)
    except ValueError as error:
        raise ValueError(f"--enrol {enrol}: {error}") from None
    return replace(found, told=found.told | {"enrol": enrol.name})


def enhance(paths: Paths, common: Plain,
            method: Literal["voxmend", "diffsep", "segan", "deepfilternet", "voxmend+refine",
                            "diffsep+refine", "segan+refine", "deepfilternet+refine"] = "voxmend",
            weights: Weights = None, sampler: MaybeSampler = None, limit: Decibels = None,
            keep_noise: bool = False) -> int:
    """Speech enhancement: remove any noise, and reverberation.

    The networks work at 16 kHz: above 8 kHz the recording is filtered as they filter it below, but
    by deepfilternet, which works at 48 kHz. Each channel of a recording is enhanced by itself, all
    with the same random numbers.

    Args:
        paths: What is read and where it goes, as in voxmend mend.
        method: A prior that is told the recording, at two speeds (voxmend); DiffSep (diffsep);
            SEGAN (segan); DeepFilterNet3 (deepfilternet), of others, of the extra enhancers.
            With +refine what it makes is refined, as voxmend refine does.
        weights: A bundled name, a .safetensors, or hf://OWNER/NAME[@REVISION] on the Hugging Face
            Hub; by default the method's bundled ones.
        sampler: Of DiffSep, for a single draw, in 30 steps unless told. By default what suits the
            weights: the bundled ones hear the recording once in either polarity, imported ones are
            sampled as in their paper, with two network calls in each of 30 steps.
        limit: How many dB are taken away at most: 0 leaves the recording as it is.
        keep_noise: Write what was taken away beside OUT, as NAME.noise: both add up to IN.
    """
    return _enhance("enhance", paths, common, method, weights, sampler, keep_noise, limit)


def dereverb(paths: Paths, common: Once, weights: Weights = None, keep_noise: bool = False) -> int:
    """Dereverberation: remove a room's echo, and noise.

    What stays is the direct path, as by a microphone at the mouth. It is what enhance does by the
    same network. Above 8 kHz the recording is filtered as the network filters it below.

    Args:
        paths: What is read and where it goes, as in voxmend mend.
        weights: A prior that listens: a bundled name, a .safetensors, or hf://OWNER/NAME[@REVISION]
            on the Hugging Face Hub.
        keep_noise: Write what was taken away beside OUT, as NAME.noise: both add up to IN.
    """
    return _enhance("dereverb", paths, common, "voxmend", weights, None, keep_noise)


def _enhance(task: str, paths: Sequence[str], common: Calling, method: str, weights: str | None,
             sampler: Sampler | None, keep_noise: bool, limit: float | None = None) -> int:
    from . import folders, html, jobs, sidecars

    weights = weights and remote.pin(weights)
    plan = folders.make_plan(
        paths, lambda out: [out, *([folders.removed(out)] if keep_noise else [])])
    settings = sidecars.settings(common, method=method, weights=weights, sampler=sampler,
                                 keep_noise=keep_noise, limit=limit)
    load = partial(load_enhancer, task, common, method, weights, sampler, limit)
    verb = jobs.Verb(task, settings, load, common.overwrite, common.workers, common.ray)
    return html.run(verb, plan, common, html.Shown(
        ("before", "after"), lambda job: (*job.inputs, job.outputs[0])))


def load_enhancer(task: str, common: Calling, method: str, weights: str | None,
                  sampler: Sampler | None, limit: float | None = None) -> "Work":
    """What takes noise away, and with `+refine` refines what is left."""
    from ..systems.deepfilternet import NAME, load_deepfilternet
    from ..systems.enhance import check_limit, load_refiner
    from . import files, jobs

    check_limit(limit)
    enhancer, _, refines = method.partition("+")
    separator: Separator | DeepFilterNet
    if enhancer == NAME:
        common.check()
        told = {} if refines else {name: getattr(common, name)
                                   for name in ("device", "precision", "batch")}
        separator = load_deepfilternet(weights=weights, sampler=sampler,
                                       steps=getattr(common, "steps", None), **told)
    else:
        separator = load_separator(task, enhancer, weights, sampler, common)
    refiner = None
    if refines:
        refiner = load_refiner(enhancer, seed=common.seed, device=common.device,
                               precision=common.precision, batch=common.batch)
    # a recurrent network hears a recording in one piece, and so does what follows it
    shared: list[Callable] = []
    if enhancer != NAME:
        shared = [separator.stream, *([refiner.stream] if refiner else [])]
    return jobs.Work(lambda inputs, outputs, streaming: files.enhance_file(
        inputs[0], outputs, separator, refiner, limit, streaming, common.handling), tuple(shared))


def refine(noisy: Annotated[str, Positional, arg(metavar="NOISY")],
           enhanced: Annotated[str, Positional, arg(metavar="ENHANCED")],
           target: Annotated[str, Positional, arg(metavar="OUT")], common: Drawing,
           method: Refining = "voxmend") -> int:
    """Refine any enhancer's output by a prior (Diffiner).

    What the enhancer took away tells how much noise there is at every time and frequency. Above
    8 kHz ENHANCED is kept. It may have another sample rate than NOISY and begin 20 ms apart from
    it; OUT has the rate, channels and length of NOISY.

    Args:
        noisy: A recording, or a folder of recordings; - is stdin.
        enhanced: What became of it; for a folder, one with files of the same names.
        target: Where the result goes; a folder if the input is one; - is stdout.
        method: Diffiner or Diffiner+, as in the paper or (-release) as its release runs it, in 200
            steps; or Diffiner that keeps nearer to NOISY (voxmend), in 6.
    """
    from ..audio.urls import relative
    from . import folders, html, jobs, sidecars

    common = common.pinned()
    source, other = folders.read_names([noisy, enhanced])
    if source.is_dir() != other.is_dir() and source.exists():
        raise ValueError(f"{other}: name two recordings or two folders")
    plan = folders.make_plan([noisy, target])
    plan.jobs = [replace(job, inputs=(
        job.inputs[0],
        other / relative(job.inputs[0], source) if source.is_dir() else other))
        for job in plan.jobs]
    settings, load = sidecars.settings(common, method=method), partial(load_refiner, common, method)
    verb = jobs.Verb("refine", settings, load, common.overwrite, common.workers, common.ray)
    return html.run(verb, plan, common, html.Shown(("noisy", "enhanced", "refined")))


def load_refiner(common: Common, method: Refining) -> "Work":
    """What refines pairs of recordings."""
    from ..systems.diffiner import Refiner
    from . import files, jobs

    common.check()
    refiner = Refiner(method, common.prior, common.steps, common.seed, common.device,
                      common.precision, batch=common.batch)
    return jobs.Work(lambda inputs, outputs, streaming: files.refine_file(
        inputs[0], inputs[1], outputs, refiner, streaming, common.handling), (refiner.stream,))


VERBS = {verb.__name__: verb for verb in (enhance, dereverb, refine, separate)}
