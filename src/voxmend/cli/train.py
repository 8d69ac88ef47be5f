"""The verbs around networks: data to train on, training, import, what there is."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from .options import Count, File, Folder, MaybeFolder, OutDir, check_least

Corpus = Literal["vctk", "ljspeech", "wsj0-2mix", "libri2mix", "voicebank-demand"]


def dataset(corpus: Positional[Corpus],
            root: Annotated[Path, Positional, arg(metavar="FOLDER")], out: OutDir) -> int:
    """Split a corpus as the papers do, to train and measure on.

    The split is a folder of links.

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


def train(recipe: Annotated[Path, Positional, arg(metavar="RECIPE")], data: Folder,
          minutes: float = float("inf"), steps: Count = None, resume: bool = False,
          out: MaybeFolder = None,
          device: str = "auto", compile: bool = False, threads: Count = None,
          noise: MaybeFolder = None, accumulate: int = 1, cache: MaybeFolder = None) -> int:
    """Train a prior, separator, enhancer or speaker encoder.

    A killed run goes on with --resume. On N GPUs, or CPUs: torchrun --nproc-per-node N -m voxmend
    train ...

    Args:
        recipe: A Python file that defines `recipe`, such as recipes/plain16k.py.
        data: Folder that holds train/ and val/ with recordings of clean speech, or manifests
            train.jsonl and val.jsonl that list them. A separator or enhancer takes ready mixtures,
            too: s1/ and s2/, or noisy/ and clean/, in each.
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
        accumulate: Take a batch in so many pieces, one after the other, where memory is short.
        cache: Folder for decoded audio, 115 MB an hour, which several runs may share; default
            cache/ in that of --out.
    """
    import torch

    from ..models import hub
    from ..training import loop, recipes

    check_least(1, steps=steps, threads=threads, accumulate=accumulate)
    if threads:
        torch.set_num_threads(threads)
    if not minutes >= 0:
        raise ValueError(f"--minutes {minutes:g}: give 0 or more")
    loaded = recipes.load_recipe(recipe)
    folder = out or Path("runs") / loaded.name
    run = loop.train(loaded, data, folder, minutes, steps, resume, str(hub.pick_device(device)),
                     compile=compile, noise=noise, accumulate=accumulate, cache=cache)
    if run.ranks.first:
        print(f"{run.product}: use it with {loaded.use}")
    return 0


def import_(release: Positional[Literal["undiff", "diffsep", "diffsep-enhancement", "diffiner",
                                        "speechbrain-ecapa", "speechbrain-xvector"]],
            path: Annotated[Path, Positional, arg(metavar="CHECKPOINT")],
            out: File = None, ema: bool = False, overwrite: bool = False) -> int:
    """Convert a published checkpoint to voxmend's .safetensors.

    Nothing but weights is read of it.

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


def export(name: Annotated[str, Positional, arg(metavar="NAME")],
           out: Annotated[Path, Positional, arg(metavar="OUT.onnx")],
           overwrite: bool = False) -> int:
    """Write a network as ONNX, which runs without PyTorch.

    It is run and compared before it counts. examples/enhance_onnx.py mends a file by one.

    Args:
        name: A bundled network (see voxmend info), a .safetensors, or hf://OWNER/NAME[@REVISION].
        out: Name of the file; signals in it may have any length and number.
        overwrite: Replace a file that exists already.
    """
    from ..models.export import write_onnx
    from ..systems.export import function_of

    if out.suffix != ".onnx":
        raise ValueError(f"{out}: give a name that ends in .onnx")
    function = function_of(name)
    error = write_onnx(name, function, out, overwrite)
    inputs = ", ".join(f"{key} [{', '.join(map(str, shape))}]"
                       for key, shape in function.inputs.items())
    print(f"{out}: {inputs} to {function.output}, {out.stat().st_size / 1e6:.1f} MB; differs from "
          f"PyTorch by {error:.0e} of the largest value")
    return 0


def push(name: Annotated[str, Positional, arg(metavar="NAME")],
         repo: Annotated[str, Positional, arg(metavar="OWNER/NAME")], private: bool = False,
         revision: Annotated[str | None, arg(metavar="BRANCH", help_behavior_hint="")] = None,
         ) -> int:
    """Share weights on the Hugging Face Hub, with their figures.

    It takes a token that may write: hf auth login, or $HF_TOKEN.

    Args:
        name: A bundled network (see voxmend info) or a .safetensors.
        repo: The repository, which is made if there is none.
        private: Make a new repository one that others do not see.
        revision: Its branch; by default main.
    """
    from ..models.publish import push_to_hub

    print(f"{name}: use it as {push_to_hub(name, repo, private, revision)}")
    return 0


def info(name: Annotated[str | None, Positional,
                         arg(metavar="[NAME]", help_behavior_hint="")] = None) -> int:
    """Show priors, networks, their costs, licences, and devices.

    Args:
        name: A bundled network, a .safetensors or hf://OWNER/NAME[@REVISION]; without it, all
            bundled ones and all networks.
    """
    import torch

    from .. import __version__
    from ..models import hub, macs
    from ..networks import networks

    paths = ([hub.find_prior(name, kind="network")] if name else
             sorted(hub.WEIGHTS.glob("*.safetensors")))
    print(f"voxmend {__version__}, torch {torch.__version__}, device {hub.pick_device()}, "
          f"{torch.get_num_threads()} threads")
    for path in paths:
        card = hub.read_card(path)
        size = path.stat().st_size / 1e6
        print(f"\n{hub.title(path)}  ({size:.1f} MB, sha256 {hub.file_hash(path)})")
        rate = card.get("sample_rate", 16000)
        print(f"  {macs.cost(card.get('network', ''), card.get('config', {}), rate)}")
        for key, value in card.items():
            print(f"  {key.replace('_', ' ')}: {value}")
    if not name:
        print("\nnetworks and their presets")
        for kind, network in networks().items():
            for preset, config in getattr(network, "PRESETS", {}).items():
                print(f"  {kind} {preset}: {macs.cost(kind, config)}")
    return 0


VERBS = {verb.__name__.rstrip("_"): verb for verb in (train, dataset, import_, export, push, info)}
