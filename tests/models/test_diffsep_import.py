"""The import of DiffSep's checkpoints against the release's layout and outputs."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from voxmend.cli import main as cli
from voxmend.models import hub
from voxmend.models.importers import import_diffsep
from voxmend.models.pickled import CheckpointError
from voxmend.networks.ncsnpp import NCSNpp
from voxmend.systems import diffsep

TINY = dict(channels=4, multiples=[1, 2], blocks=1, attention=8, n_fft=30, hop=8)
LAYER = ["weight", "bias"]
PLAIN = [f"{part}.{kind}" for part in ("GroupNorm_0", "Conv_0", "Dense_0", "GroupNorm_1", "Conv_1")
         for kind in LAYER]
WIDER = [*PLAIN, "Conv_2.weight", "Conv_2.bias"]
ATTENTION = ["GroupNorm_0.weight", "GroupNorm_0.bias",
             *(f"NIN_{i}.{kind}" for i in range(4) for kind in "Wb")]
COMBINE = ["Conv_0.weight", "Conv_0.bias"]


def release_keys(multiples, blocks, attends):
    """Keys of the release's NCSN++, in its order; `attends` is the level with attention."""
    modules, width, last = [["W"], LAYER, LAYER, LAYER], 1, len(multiples) - 1
    for level, multiple in enumerate(multiples):
        for _ in range(blocks):
            modules.append(PLAIN if width == multiple else WIDER)
            modules += [ATTENTION] * (level == attends)
            width = multiple
        modules += [WIDER, COMBINE] * (level < last)
    modules += [PLAIN, ATTENTION, PLAIN]
    for level in reversed(range(len(multiples))):
        modules += [WIDER] * (blocks + 1) + [ATTENTION] * (level == attends) + [LAYER, LAYER]
        modules += [WIDER] * (level > 0)
    return ["output_layer.weight", "output_layer.bias",
            *(f"all_modules.{i}.{part}" for i, parts in enumerate(modules) for part in parts)]


def released(state, keys):
    """Weights of ours in the release's layout."""
    return {key: t.T.clone() if ".NIN_" in key and key.endswith("W") else t.clone()
            for key, t in zip(keys, state.values(), strict=True)}


KEYS = release_keys([1, 2], 1, attends=1)
PUBLISHED = release_keys([1, 1, 2, 2, 2, 2, 2], 2, attends=4)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = NCSNpp(**TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.requires_grad_(False)


@pytest.fixture
def release(network):
    """A checkpoint as the release writes it: averages of parameters, raw ones gone astray."""
    averages = released(network.state_dict(), KEYS)
    state = {f"score_model.backbone.{key}": torch.zeros_like(t) for key, t in averages.items()}
    state["score_model.stft.window"] = torch.zeros(30)
    return {"epoch": 3, "state_dict": state,
            "ema": {"decay": 0.999, "num_updates": 7, "collected_params": None,
                    "shadow_params": list(averages.values())}}


def imported(folder, checkpoint, name="model", **options):
    torch.save(checkpoint, folder / f"{name}.ckpt")
    options = {k: v for k, v in TINY.items() if k != "channels"} | options
    import_diffsep(folder / f"{name}.ckpt", folder / f"{name}.safetensors", **options)
    return folder / f"{name}.safetensors"


def stacked():
    """x_t and a mixture."""
    return torch.randn(2, 3, 1000, generator=torch.Generator().manual_seed(0))


def test_import_takes_the_averages(network, release, tmp_path):
    model = diffsep.load_model(imported(tmp_path, release))
    x, t = stacked(), torch.tensor([0.1, 0.9])
    torch.testing.assert_close(model.network(x, t), network(x, t))
    assert (model.sample_rate, model.local_noise) == (8000, False)
    assert hub.read_card(tmp_path / "model.safetensors")["source"]["averaged"]
    enhancer = diffsep.load_model(imported(tmp_path, release, "noisy", task="enhance"))
    assert (enhancer.sample_rate, enhancer.local_noise) == (16000, True)
    assert hub.read_card(tmp_path / "noisy.safetensors")["task"] == "enhance"


def test_import_of_other_layouts(network, release, tmp_path):
    """Averages without the frequencies, which are not trained, and a bare state dict, sorted."""
    x, t = stacked(), torch.tensor([0.1, 0.9])
    frozen = "all_modules.0.W"
    values = release["ema"]["shadow_params"]
    bare = dict(sorted(zip(KEYS, values)))
    torch.testing.assert_close(
        diffsep.load_model(imported(tmp_path, bare, "bare")).network(x, t), network(x, t))
    assert not hub.read_card(tmp_path / "bare.safetensors")["source"]["averaged"]
    place = KEYS.index(frozen)
    release["state_dict"][f"score_model.backbone.{frozen}"] = values[place]
    release["ema"]["shadow_params"] = values[:place] + values[place + 1:]
    torch.testing.assert_close(
        diffsep.load_model(imported(tmp_path, release)).network(x, t), network(x, t))


def test_bad_checkpoints_are_one_line(release, tmp_path):
    state, averages = release["state_dict"], release["ema"]["shadow_params"]
    first = "score_model.backbone.all_modules.1.weight"
    cases = [({}, "holds no DiffSep"), ({"state_dict": 3}, "holds no DiffSep"),
             ({"state_dict": {k: t for k, t in state.items() if k != first}}, "has 162 weights"),
             ({"state_dict": state | {first: torch.zeros(3, 4)}}, r"shape \[3, 4\]"),
             ({"state_dict": state | {"score_model.backbone.extra": averages[0]}}, "has extra, "),
             (release | {"ema": {"shadow_params": averages[:5]}}, "has 5 averages")]
    for checkpoint, word in cases:
        with pytest.raises(CheckpointError, match=word) as caught:
            imported(tmp_path, checkpoint)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
        assert not (tmp_path / "model.safetensors").exists()


def test_import_on_the_command_line(release, network, tmp_path, capsys):
    """At the published layout, of which the tiny one differs in what weights do not tell."""
    torch.save(release, tmp_path / "tiny.ckpt")
    assert cli.main(["import", "diffsep", str(tmp_path / "tiny.ckpt")]) == 2
    assert "has 163 weights, where an NCSN++ of 4 channels has 647" in capsys.readouterr().err
    small = released(NCSNpp(channels=4).state_dict(), PUBLISHED)
    torch.save({"state_dict": small}, tmp_path / "release.ckpt")
    assert cli.main(["import", "diffsep-enhancement", str(tmp_path / "release.ckpt")]) == 0
    said = capsys.readouterr().out
    assert "NCSNpp (sources 2, channels 4)" in said
    assert "release.safetensors: use it with voxmend enhance --method diffsep --weights" in said
    made = tmp_path / "release.safetensors"
    assert diffsep.load_model(made).sample_rate == 16000
    assert cli.main(["declip", __file__, "b.wav", "--prior", str(made)]) == 2
    assert "a separator, not a prior" in capsys.readouterr().err


# Outputs of the public release, where $VOXMEND_VECTORS names the folder that has them.

vectors_needed = pytest.mark.skipif("VOXMEND_VECTORS" not in os.environ,
                                    reason="set VOXMEND_VECTORS to the folder of parity vectors")


@vectors_needed
def test_imported_network_computes_what_the_release_does(tmp_path):
    v = load_file(Path(os.environ["VOXMEND_VECTORS"]) / "diffsep_ncsnpp_small.safetensors")
    weights = {k.replace("weights/", "score_model."): t for k, t in v.items() if "weights/" in k}
    torch.save({"state_dict": weights}, tmp_path / "release.ckpt")
    import_diffsep(tmp_path / "release.ckpt", tmp_path / "release.safetensors")
    model = diffsep.load_model(tmp_path / "release.safetensors")
    for case, time, score in (("", "t", "score"), ("", "t003", "score_t003"),
                              ("_batch2", "t_batch2", "score_batch2")):
        score_of = model.score(model.process, v[f"in/mix{case}"])
        ours, theirs = score_of(v[f"in/x_t{case}"], v[f"in/{time}"]), v[f"out/{score}"]
        assert (ours - theirs).norm() < 1e-4 * theirs.norm()
    stacked = torch.cat([v["in/x_t"], v["in/mix"]], dim=1)
    seen = v["out/network_input"]
    entered = model.network.compress(stacked)[:, :, ::8, ::8]
    assert (entered - seen[..., :entered.shape[-1]]).norm() < 1e-5 * seen.norm()


@vectors_needed
def test_keys_of_the_release_are_those_tested_here():
    lines = (Path(os.environ["VOXMEND_VECTORS"]) / "keys_diffsep_ncsnpp.txt").read_text()
    keys = [line.split("\t")[1] for line in lines.splitlines() if not line.startswith("#")]
    assert [k for k in keys if "stft" not in k] == [f"score_model.backbone.{k}" for k in PUBLISHED]
