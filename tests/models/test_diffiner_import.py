"""The import of Diffiner's checkpoint against the release's layout and outputs."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from voxmend.cli import main as cli
from voxmend.models import hub
from voxmend.models.importers import import_diffiner
from voxmend.models.pickled import CheckpointError
from voxmend.networks.unet import DDPMUNet
from voxmend.systems import bins

TINY = dict(channels=32, multiples=(1, 2), blocks=2, attention=(2,))


def release_keys(channels=128, multiples=(1, 1, 2, 2, 4, 4), blocks=3, attention=(16, 32)):
    """Keys and shapes of the release's U-Net, in its order."""
    keys, time, width, skips = {}, 4 * channels, channels, [channels]

    def layer(name, *shape):
        keys[f"{name}.weight"], keys[f"{name}.bias"] = shape, shape[:1]

    def block(name, entering, leaving):
        layer(f"{name}.in_layers.0", entering)
        layer(f"{name}.in_layers.2", leaving, entering, 3, 3)
        layer(f"{name}.emb_layers.1", 2 * leaving, time)
        layer(f"{name}.out_layers.0", leaving)
        layer(f"{name}.out_layers.3", leaving, leaving, 3, 3)
        if entering != leaving:
            layer(f"{name}.skip_connection", leaving, entering, 1, 1)

    def attend(name, size):
        layer(f"{name}.norm", size)
        layer(f"{name}.qkv", 3 * size, size, 1)
        layer(f"{name}.proj_out", size, size, 1)

    layer("time_embed.0", time, channels)
    layer("time_embed.2", time, time)
    layer("input_blocks.0.0", channels, 2, 3, 3)
    number, last = 1, len(multiples) - 1
    for level, multiple in enumerate(multiples):
        for _ in range(blocks):
            block(f"input_blocks.{number}.0", width, multiple * channels)
            width = multiple * channels
            if 2**level in attention:
                attend(f"input_blocks.{number}.1", width)
            skips.append(width)
            number += 1
        if level < last:
            layer(f"input_blocks.{number}.0.op", width, width, 3, 3)
            skips.append(width)
            number += 1
    block("middle_block.0", width, width)
    attend("middle_block.1", width)
    block("middle_block.2", width, width)
    number = 0
    for level in reversed(range(len(multiples))):
        for i in range(blocks + 1):
            block(f"output_blocks.{number}.0", width + skips.pop(), multiples[level] * channels)
            width, place = multiples[level] * channels, 1
            if 2**level in attention:
                attend(f"output_blocks.{number}.1", width)
                place = 2
            if level and i == blocks:
                layer(f"output_blocks.{number}.{place}.conv", width, width, 3, 3)
            number += 1
    layer("out.0", channels)
    layer("out.2", 2, channels, 3, 3)
    return keys


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = DDPMUNet(**TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(False)


@pytest.fixture
def release(network):
    """The network's weights in the release's layout."""
    return {key: tensor.clone() for key, tensor in
            zip(release_keys(**TINY), network.state_dict().values(), strict=True)}


def imported(folder, checkpoint, **options):
    torch.save(checkpoint, folder / "diffiner.pt")
    import_diffiner(folder / "diffiner.pt", folder / "diffiner.safetensors", **options)
    return folder / "diffiner.safetensors"


@pytest.mark.parametrize("order", [dict, lambda state: dict(sorted(state.items()))])
def test_import_of_a_bare_state_dict(order, network, release, tmp_path):
    prior = bins.load_prior(imported(tmp_path, order(release)))
    x, step = torch.randn(1, 2, 256, 8), torch.tensor([120])
    torch.testing.assert_close(prior.network(x, step), network(x, step))
    card = hub.read_card(tmp_path / "diffiner.safetensors")
    assert card["config"] == TINY | {"multiples": [1, 2], "attention": [2], "scale_shift": True}
    assert prior.bins.rows == 256 and prior.bins.hop == 256
    assert prior.sigma_max == pytest.approx(153, abs=1) and len(prior.betas) == 4000


def test_its_bins_are_those_of_the_release():
    """torch.stft with a bare Hann window of a signal is 9.8 times ours, as the level says."""
    wave = torch.randn(1, 4096, generator=torch.Generator().manual_seed(0))
    theirs = torch.stft(wave, 512, 256, window=torch.hann_window(512), return_complex=True,
                        pad_mode="constant")[:, 1:]
    ours = bins.Bins(512, 256, first=1).analyse(9.798 * wave)
    torch.testing.assert_close(torch.complex(ours[:, 0], ours[:, 1]), theirs, rtol=1e-3, atol=1e-3)


def test_the_release_keeps_every_twentieth_step(network):
    """By 200 steps of 4000; the network is told the original ones."""
    told = []

    class Listening(torch.nn.Module):
        multiple, n_fft, hop, tilt = 1, 512, 256, None

        def forward(self, x, step):
            told.append(step.item())
            return x

    betas = torch.linspace(2.5e-5, 0.005, 4000, dtype=torch.float64)
    prior = bins.SpectrogramPrior(Listening(), betas, 16000, 0.74)
    levels = prior.levels(200)
    for sigma in levels[:-1]:
        prior(torch.zeros(1, 2, 256, 2), sigma.float())
    assert told == list(range(3980, -1, -20)) and levels[-1] == 0


def test_bad_checkpoints_are_one_line(release, tmp_path):
    first = "input_blocks.1.0.in_layers.2.weight"
    cases = [({}, "holds no Diffiner"), ({"state_dict": 3}, "holds no Diffiner"),
             ({k: t for k, t in release.items() if k != first}, "lacks down.1.0.conv1.weight"),
             (release | {first: torch.zeros(3, 4)}, r"shape \[3, 4\]"),
             (release | {"extra": torch.zeros(1)}, "has extra, "),
             ({"time_embed.0.weight": torch.zeros(2, 2)}, "lacks down.1.0.time.weight"),
                 (release | {"input_blocks.1.0.emb_layers.1.weight": torch.zeros(3)}
                  | {"time_embed.0.weight": torch.zeros(2, 0)}, "shapes that no DDPMUNet has")]
    for checkpoint, word in cases:
        with pytest.raises(CheckpointError, match=word) as caught:
            imported(tmp_path, checkpoint)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
        assert not (tmp_path / "diffiner.safetensors").exists()


def test_import_on_the_command_line(release, tmp_path, capsys):
    torch.save(release, tmp_path / "release.pt")
    assert cli.main(["import", "diffiner", str(tmp_path / "release.pt")]) == 0
    said = capsys.readouterr().out
    assert "DDPMUNet (channels 32" in said and "use it with voxmend refine --prior" in said
    made = str(tmp_path / "release.safetensors")
    assert cli.main(["declip", __file__, "b.wav", "--prior", made]) == 2
    assert "a prior of spectrograms; only refine takes it" in capsys.readouterr().err
    assert json.loads((tmp_path / "release.json").read_text())["source"]["project"].startswith(
        "Diffiner")


def test_published_layout_is_ours():
    with torch.device("meta"):
        ours = [tuple(t.shape) for t in DDPMUNet().state_dict().values()]
    assert list(release_keys().values()) == ours


# Outputs of the public release, where $VOXMEND_VECTORS names the folder that has them.

vectors_needed = pytest.mark.skipif("VOXMEND_VECTORS" not in os.environ,
                                    reason="set VOXMEND_VECTORS to the folder of parity vectors")


@vectors_needed
@pytest.mark.parametrize("name", ["small", "widening"])
def test_imported_network_computes_what_the_release_does(name, tmp_path):
    v = load_file(Path(os.environ["VOXMEND_VECTORS"]) / f"diffiner_unet_{name}.safetensors")
    weights = {k.removeprefix("weights/"): t for k, t in v.items() if "weights/" in k}
    network = bins.load_prior(imported(tmp_path, weights)).network
    for case in ("", "_batch2"):
        ours = network(v[f"in/x{case}"], v[f"in/timestep{case}"])
        theirs = v[f"out/eps{case}"]
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@vectors_needed
def test_keys_of_the_release_are_those_tested_here():
    lines = (Path(os.environ["VOXMEND_VECTORS"]) / "keys_diffiner_unet.txt").read_text()
    rows = [line.split("\t")[1:3] for line in lines.splitlines() if not line.startswith("#")]
    assert {key: tuple(json.loads(shape)) for key, shape in rows} == release_keys()
    assert [key for key, _ in rows] == list(release_keys())
