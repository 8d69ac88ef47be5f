"""Encoders of speakers: features, networks, SpeechBrain's checkpoints, embeddings."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers.speech import voice
from voxmend.benchmarks import encoders as tables
from voxmend.cli import main as cli
from voxmend.dsp.stft import fbank
from voxmend.models import hub
from voxmend.models.importers import import_speechbrain
from voxmend.models.macs import cost
from voxmend.models.pickled import CheckpointError
from voxmend.networks.ecapa import ECAPATDNN
from voxmend.networks.xvector import XVector
from voxmend.speakers.encoders import PRESETS, load_encoder

TINY = {"ecapa": (ECAPATDNN, dict(mels=20, channels=16, mixed=24, attention=6, squeeze=5, scale=4,
                                  dim=7)),
        "xvector": (XVector, dict(mels=12, channels=16, mixed=24, dim=9))}


def tiny(kind):
    """A small network with weights and statistics drawn at random."""
    network, config = TINY[kind]
    network = network(**config).requires_grad_(False).eval()
    rng = torch.Generator().manual_seed(len(kind))
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(0.3 * torch.randn(tensor.shape, generator=rng))
            tensor.copy_(tensor.abs() + 0.5 if name.endswith("running_var") else tensor)
    return network


def wave(seconds=1.0, seed=0):
    return voice(seconds, seed=seed)[0]


def features(frames, mels, batch=2):
    rng = torch.Generator().manual_seed(0)
    drawn = 10 * torch.randn(batch, frames, mels, generator=rng)
    return drawn - drawn.mean(1, keepdim=True)


def test_fbank_follows_its_definition():
    """Against a transform and triangles written out in numpy, with zeros beyond the ends."""
    mels, signal = 13, wave(0.5)
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), mels + 2) / 2595) - 1)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    padded, rows = np.pad(signal.astype(float), 200), []
    for start in range(0, len(signal) + 1, 160):
        power = np.abs(np.fft.rfft(window * padded[start:start + 400])) ** 2
        row = []
        for below, centre in pairwise(centres[:-1]):
            reach = centre - below
            row.append(sum(p * max(0, 1 - abs(40 * k - centre) / reach)
                           for k, p in enumerate(power)))
        rows.append(10 * np.log10(np.maximum(row, 1e-10)))
    expected = np.maximum(rows, np.max(rows) - 80)
    found = fbank(torch.from_numpy(signal)[None], mels)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_fbank_floor_belongs_to_an_item():
    loud = torch.from_numpy(np.concatenate([wave(), np.zeros(8000, np.float32)]))
    both = fbank(torch.stack([loud, loud / 100]))
    torch.testing.assert_close(both[0] - 40, both[1], atol=1e-3, rtol=0)
    assert both[0].max() - both[0].min() == pytest.approx(80, abs=1e-3)


@pytest.mark.parametrize("network, count", [(ECAPATDNN, 20_767_552), (XVector, 4_211_604)])
def test_parameters_are_the_published_ones(network, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in network().parameters()) == count


@pytest.mark.parametrize("kind", TINY)
def test_level_and_company_change_nothing(kind):
    network = tiny(kind)
    signals = torch.from_numpy(np.stack([wave(), wave(seed=1)]))[:, None]
    embeddings = network(signals)
    assert embeddings.shape == (2, network.dim)
    torch.testing.assert_close(network(signals[1:]), embeddings[1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(signals / 10), embeddings, rtol=1e-3, atol=1e-3)
    assert (embeddings[0] - embeddings[1]).norm() > 1e-2 * embeddings[0].norm()


@pytest.mark.parametrize("kind", TINY)
def test_lengths_limit_the_statistics_alone(kind):
    """What lies beyond is heard by convolutions near the end, and by nothing else."""
    network = tiny(kind)
    x = features(240, network.mels)
    changed = x.clone()
    changed[:, 200:] += 5
    half, whole = torch.tensor([0.5, 0.5]), torch.ones(2)
    torch.testing.assert_close(network.embed(changed, half), network.embed(x, half))
    assert (network.embed(changed, whole) - network.embed(x, whole)).abs().max() > 1e-3
    torch.testing.assert_close(network.embed(x, whole), network.embed(x))
    assert (network.embed(x[:, :120]) - network.embed(x, half)).abs().max() > 1e-5


def test_ecapa_pools_what_its_attention_selects():
    """With weights that all fall on one frame, mean and deviation are that frame's."""
    pooling = tiny("ecapa").asp
    x = features(30, 24).transpose(1, 2)
    weights = torch.zeros(2, 1, 30)
    weights[..., 11] = 1
    pooled = pooling(x, weights)
    torch.testing.assert_close(pooled[:, :24, 0], x[..., 11])
    torch.testing.assert_close(pooled[:, 24:, 0], torch.full((2, 24), 1e-6))


def test_cost_of_an_encoder():
    """By hand, a frame every 10 ms: the mel filters, five layers, and the last one once."""
    mels, channels, mixed, dim = 12, 16, 24, 9
    layers = 5 * mels * channels + 2 * 3 * channels**2 + channels**2 + channels * mixed
    per_second = (1001 * (201 * mels + layers) + 2 * mixed * dim) / 10
    assert cost("XVector", TINY["xvector"][1]) == (
        f"0.00 M parameters, {per_second / 1e9:.3g} GMAC per second of audio and call")


def released(network):
    """Weights in SpeechBrain's layout, in which layers sit in modules of their own."""
    state = {}
    for key, tensor in network.state_dict().items():
        layer, kind = key.rsplit(".", 1)
        layer = layer.replace("fc", "blocks.16") if isinstance(network, XVector) else layer
        if isinstance(network, XVector):
            wrapper = {0: "conv", 2: "norm", 1: "w"}[int(layer.removeprefix("blocks.")) % 3]
        else:
            wrapper = "norm" if "norm" in layer or layer == "asp_bn" else "conv"
        state[f"{layer}.{wrapper}.{kind}"] = tensor
    return state


def imported(folder, kind, state):
    torch.save(state, folder / "embedding_model.ckpt")
    import_speechbrain(folder / "embedding_model.ckpt", folder / f"{kind}.safetensors", kind)
    return folder / f"{kind}.safetensors"


@pytest.mark.parametrize("kind", TINY)
def test_import_reads_size_and_weights(kind, tmp_path):
    network = tiny(kind)
    path = imported(tmp_path, kind, released(network))
    card = hub.read_card(path)
    assert card["config"] == TINY[kind][1] and card["dim"] == network.dim
    signal = torch.from_numpy(wave())[None, None]
    torch.testing.assert_close(hub.load_network(path, card)(signal), network(signal))
    assert load_encoder(path, "cpu").dim == network.dim


def test_bad_checkpoints_are_one_line(tmp_path):
    state = released(tiny("ecapa"))
    first = "blocks.0.conv.conv.weight"
    cases = [({}, "it has no asp_bn"), (released(tiny("xvector")), "import it as speechbrain-xv"),
             ({k: t for k, t in state.items() if k != first}, "lacks blocks.0.conv.weight"),
             (state | {first: torch.zeros(3)}, "shapes that no ECAPATDNN has"),
             (state | {"mfa.conv.conv.bias": torch.zeros(3)}, r"mfa.conv.bias has shape \[3\]"),
             (state | {"extra.conv.weight": torch.zeros(3)}, "has extra.weight, ")]
    for checkpoint, word in cases:
        with pytest.raises(CheckpointError, match=word) as caught:
            imported(tmp_path, "ecapa", checkpoint)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
        assert not (tmp_path / "ecapa.safetensors").exists()


def test_import_on_the_command_line(tmp_path, capsys):
    torch.save(released(tiny("xvector")), tmp_path / "embedding_model.ckpt")
    command = ["import", "speechbrain-xvector", str(tmp_path / "embedding_model.ckpt")]
    made = tmp_path / "embedding_model.safetensors"
    assert cli.main(command) == 0
    assert f"{made}: use it with voxmend speakers extract --encoder" in capsys.readouterr().out
    assert cli.main(["info", str(made)]) == 0
    assert "GMAC per second of audio" in capsys.readouterr().out
    assert cli.main(["declip", __file__, "b.wav", "--prior", str(made)]) == 2
    assert "an encoder of speakers, not a prior" in capsys.readouterr().err


@pytest.fixture
def encoders(tmp_path):
    """Paths of two tiny encoders."""
    return [imported(tmp_path, kind, released(tiny(kind))) for kind in TINY]


def test_several_encoders_stand_side_by_side(encoders):
    one, other = (load_encoder(path, "cpu") for path in encoders)
    for both in (load_encoder(encoders, "cpu"), load_encoder("+".join(map(str, encoders)), "cpu")):
        np.testing.assert_array_equal(both.embed(wave()), np.concatenate([one.embed(wave()),
                                                                          other.embed(wave())]))
        assert (both.dim, both.sample_rate) == (one.dim + other.dim, 16000) == (16, 16000)
        assert both.hash == f"{hub.file_hash(encoders[0])}+{hub.file_hash(encoders[1])}"
        assert both.name == "ecapa+xvector" and both.embed(wave()).dtype == np.float32
    assert np.linalg.norm(one.embed(wave())) == pytest.approx(1)


def test_long_recordings_are_the_mean_of_pieces(encoders):
    encoder, parts = load_encoder(encoders[0], "cpu"), [wave(8.0, seed) for seed in range(3)]
    total = sum(encoder.embed(part) for part in parts)
    np.testing.assert_allclose(encoder.embed(np.concatenate(parts)), total / np.linalg.norm(total),
                               atol=1e-6)
    silent = np.concatenate([parts[0], np.zeros(128000, np.float32), parts[2]])
    total = encoder.embed(parts[0]) + encoder.embed(parts[2])
    np.testing.assert_allclose(encoder.embed(silent), total / np.linalg.norm(total), atol=1e-6)


@pytest.mark.parametrize("signal, word", [
    (np.zeros(16000), "silence"), (np.full(16000, np.nan), "NaN"), (wave()[:4000], "too short"),
    (np.zeros(0), "too short"), (voice(1.0, channels=2), "mono")])
def test_what_cannot_be_embedded(encoders, signal, word):
    with pytest.raises(ValueError, match=word):
        load_encoder(encoders[0], "cpu").embed(signal)


def test_the_shortest_recording(encoders):
    assert np.isfinite(load_encoder(encoders, "cpu").embed(wave(0.3))).all()


@pytest.mark.parametrize("dim", PRESETS)
def test_bundled_encoders_have_the_dimensions_of_their_preset(dim):
    encoder = load_encoder(PRESETS[dim], "cpu")
    assert encoder.dim == dim and encoder.embed(wave()).shape == (dim,)
    one, other, stranger = encoder.embed(wave()), encoder.embed(wave(2.0)), encoder.embed(
        np.random.default_rng(0).normal(0, 0.1, 16000))
    assert one @ other > one @ stranger


@pytest.mark.skipif("VOXMEND_DATA" not in os.environ, reason="set VOXMEND_DATA to a speech folder")
def test_bundled_encoders_part_unseen_speakers():
    """All better than the mean spectrum, which hears the recording as well as the speaker."""
    names = ["+".join(parts) for parts in PRESETS.values()]
    cases = tables.run(Path(os.environ["VOXMEND_DATA"]) / "val", names)["cases"]
    spectrum, *encoders = next(iter(cases.values()))
    assert all(row["2 s"] < min(15, spectrum["2 s"]) for row in encoders)


def test_only_encoders_are_taken(prior):
    with pytest.raises(hub.PriorError, match="no encoder of speakers"):
        load_encoder(prior, "cpu")
    with pytest.raises(hub.PriorError, match=r"no such encoder; .* or: (ecapa\w*, )+xvector$"):
        load_encoder("nobody", "cpu")


# Outputs of the public release, where $VOXMEND_VECTORS names the folder that has them.

vectors_needed = pytest.mark.skipif("VOXMEND_VECTORS" not in os.environ,
                                    reason="set VOXMEND_VECTORS to the folder of parity vectors")


@vectors_needed
@pytest.mark.parametrize("kind", TINY)
def test_imported_encoder_computes_what_the_release_does(kind, tmp_path):
    folder = Path(os.environ["VOXMEND_VECTORS"])
    v = load_file(folder / f"speechbrain_{kind}_small.safetensors")
    path = imported(tmp_path, kind, {k.removeprefix("weights/"): t for k, t in v.items()
                                     if k.startswith("weights/")})
    network = hub.load_network(path, hub.read_card(path))
    for lengths, name in ((None, "embedding"), (v["in/lengths"], "embedding_with_lengths")):
        ours, theirs = network.embed(v["in/features"], lengths), v[f"out/{name}"][:, 0]
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@vectors_needed
@pytest.mark.parametrize("mels", [80, 24])
def test_features_are_those_of_the_release(mels):
    v = load_file(Path(os.environ["VOXMEND_VECTORS"]) / "speechbrain_fbank.safetensors")
    ours = fbank(v["in/wav"], mels)
    torch.testing.assert_close(ours, v[f"out/fbank{mels}"], atol=1e-3, rtol=0)
    torch.testing.assert_close(ours - ours.mean(1, keepdim=True), v[f"out/fbank{mels}_normalised"],
                               atol=1e-3, rtol=0)


@vectors_needed
@pytest.mark.parametrize("kind", TINY)
def test_keys_of_the_release_are_those_tested_here(kind):
    listing = (Path(os.environ["VOXMEND_VECTORS"]) / f"keys_speechbrain_{kind}.txt").read_text()
    rows = [line.split("\t")[1:3] for line in listing.splitlines() if not line.startswith("#")]
    with torch.device("meta"):
        ours = released(TINY[kind][0]())
    assert rows == [[key, str(list(t.shape))] for key, t in ours.items()]
