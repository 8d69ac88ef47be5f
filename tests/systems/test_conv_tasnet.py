"""Conv-TasNet against its paper's tables and equations, and the training of separators."""

import json
from itertools import permutations

import numpy as np
import pytest
import torch
from torch.nn import functional

from helpers.speech import voice
from voxmend import audio, metrics
from voxmend.models import hub
from voxmend.networks.conv_tasnet import ConvTasNet, CumulativeNorm, Depthwise
from voxmend.systems import conv_tasnet
from voxmend.training import loop
from voxmend.training.corpus import Corpus

TINY = dict(N=24, L=16, B=12, H=16, Sc=12, P=3, X=3, R=1)


def tiny_recipe(steps, **changes):
    options = dict(name="tiny", config=TINY, steps=steps, batch=2, seconds=0.25)
    return conv_tasnet.SeparationRecipe(**{**options, **changes})


@pytest.fixture
def speech(tmp_path, monkeypatch):
    """A folder to train on; validation is cut short."""
    held_out = conv_tasnet.SeparationRecipe.held_out
    monkeypatch.setattr(conv_tasnet.SeparationRecipe, "held_out",
                        lambda *args: held_out(*args)[:4, :, :16000])
    for split, speakers in (("train", "123"), ("val", "45")):
        for speaker in speakers:
            wave = voice(3.0, seed=int(speaker)) if int(speaker) % 2 else noise(int(speaker))
            (tmp_path / "data" / split / speaker).mkdir(parents=True)
            audio.save(tmp_path / "data" / split / speaker / "a.flac", wave, 16000)
    return tmp_path / "data"


def noise(seed, length=48000):
    return 0.1 * np.random.default_rng(seed).normal(size=(1, length)).astype(np.float32)


@pytest.mark.parametrize("millions, sizes", [
    (5.1, ConvTasNet.PRESETS["paper"]),
    (1.5, dict(N=128, L=40, B=128, H=256, Sc=128, P=3, X=7, R=2)),
    (1.7, dict(N=512, L=40, B=128, H=256, Sc=128, P=3, X=7, R=2)),
    (3.1, dict(N=512, L=40, B=128, H=512, Sc=128, P=3, X=7, R=2)),
    (6.0, dict(N=512, L=40, B=256, H=512, Sc=256, P=3, X=7, R=2)),
    (8.1, dict(N=512, L=40, B=256, H=512, Sc=512, P=3, X=7, R=2)),
])
def test_parameters_are_those_of_table_ii(millions, sizes):
    with torch.device("meta"):
        count = sum(p.numel() for p in ConvTasNet(**sizes).parameters())
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"mask": "relu", "sources": 3}])
def test_any_length_and_level(options):
    torch.manual_seed(0)
    network = ConvTasNet(**TINY, **options)
    for length in (1, 15, 16, 1000, 1003):
        mixture = torch.randn(2, 1, length)
        voices = network(mixture)
        assert voices.shape == (2, options.get("sources", 2), length)
        torch.testing.assert_close(network(8 * mixture), 8 * voices, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(network(mixture[1:]), voices[1:])


def test_every_sample_passes_the_filter_bank():
    """With the decoder the encoder's pseudo-inverse and masks of ½, half of the mixture is left."""
    network = ConvTasNet(**TINY)
    with torch.no_grad():
        inverse = torch.linalg.pinv(network.encoder.weight)  # [L, N]
        network.decoder.weight.copy_(inverse / 2)  # each sample lies in two frames
        for parameter in network.leave.parameters():
            parameter.zero_()
    mixture = torch.randn(1, 1, 1003)
    torch.testing.assert_close(network(mixture), mixture.expand(1, 2, -1) / 2)


def test_norms_follow_their_equations():
    def standardised(frame, seen):
        seen = seen.flatten(1)
        return (frame - seen.mean(1)[:, None]) / seen.std(1, correction=0)[:, None]

    x = torch.randn(2, 10, 4) + 1
    expected = torch.stack([standardised(x[:, k], x[:, :k + 1]) for k in range(10)], 1)
    torch.testing.assert_close(CumulativeNorm(4)(x), expected, rtol=1e-4, atol=1e-4)
    x = torch.randn(2, 10, TINY["H"]) + 1
    norm = ConvTasNet(**TINY).blocks[0].enter[-1]
    torch.testing.assert_close(norm(x).flatten(1), standardised(x.flatten(1), x))


@pytest.mark.parametrize("frames", [3, 30])
@pytest.mark.parametrize("kernel, dilation, causal, padding", [
    (3, 4, False, (4, 4)), (3, 4, True, (8, 0)), (2, 1, False, (0, 1)), (4, 3, False, (4, 5))])
def test_depthwise_is_torch_convolution(kernel, dilation, causal, padding, frames):
    layer = Depthwise(5, kernel, dilation, causal)
    x = torch.randn(2, frames, 5)
    expected = functional.conv1d(functional.pad(x.transpose(1, 2), padding),
                                 layer.weight.T.unsqueeze(1), layer.bias, dilation=dilation,
                                 groups=5)
    torch.testing.assert_close(layer(x), expected.transpose(1, 2))


def test_framing_is_torch_convolution_there_and_back():
    network, x = ConvTasNet(**TINY), torch.randn(2, 1, 1003)
    padded = functional.pad(x, (8, 8 + 5))
    encoded = network.encoder(network._frames(x)[:, 0])
    expected = functional.conv1d(padded, network.encoder.weight.unsqueeze(1), stride=8)
    torch.testing.assert_close(encoded, expected.transpose(1, 2))
    found = network._signal(network.decoder(encoded).unsqueeze(1), 1003)
    expected = functional.conv_transpose1d(expected, network.decoder.weight.T.unsqueeze(1),
                                           stride=8)
    torch.testing.assert_close(found, expected[..., 8:8 + 1003])
    with pytest.raises(ValueError):
        network(torch.randn(2, 2, 1003))


def test_only_the_causal_network_ignores_the_future():
    mixture = torch.randn(1, 1, 800)
    changed = mixture.clone()
    changed[..., 400:] = 0
    for causal in (True, False):
        torch.manual_seed(0)
        network = ConvTasNet(**TINY, causal=causal)
        past = slice(0, 400 - TINY["L"])
        same = torch.allclose(network(mixture)[..., past], network(changed)[..., past], atol=1e-6)
        assert same == causal


def test_pit_is_the_best_of_all_orders():
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(4, 3, 500)) + 0.3
    estimates = sources[:, rng.permutation(3)] + rng.normal(size=(4, 3, 500))
    expected = [max(np.mean([metrics.METRICS["si_snr"](e[i], s[j]) for i, j in enumerate(order)])
                    for order in permutations(range(3)))
                for e, s in zip(estimates, sources)]
    found = conv_tasnet.pit_si_snr(torch.from_numpy(estimates), torch.from_numpy(sources))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_snr_is_that_of_the_best_order_down_to_its_floor():
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(4, 3, 500))
    estimates = sources[:, rng.permutation(3)] + 0.1 * rng.normal(size=(4, 3, 500))
    expected = [max(np.mean([10 * np.log10(np.sum(s[j]**2) / np.sum((s[j] - e[i])**2))
                             for i, j in enumerate(order)]) for order in permutations(range(3)))
                for e, s in zip(estimates, sources)]
    found = conv_tasnet.pit_snr(torch.from_numpy(estimates), torch.from_numpy(sources), 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    mixture = sources[:1].sum(1, keepdims=True)
    alone = torch.from_numpy(np.concatenate([mixture, 0 * mixture], axis=1))
    assert conv_tasnet.pit_snr(alone, alone).item() == pytest.approx((30 + 30 - 80) / 2, abs=0.1)
    leaky = torch.cat([alone[:, :1], 0.1 * alone[:, :1]], dim=1)
    assert conv_tasnet.pit_snr(leaky, alone) < conv_tasnet.pit_snr(alone, alone) - 4


@pytest.mark.parametrize("alone", [0.0, 0.5])
def test_levels_are_matched_only_where_the_loss_leaves_them_open(alone, tmp_path, speech):
    run = loop.train(tiny_recipe(2, alone=alone), speech, tmp_path / "run")
    network, bare = (conv_tasnet.load_separator(run.product),
                     hub.load_network(run.product, hub.read_card(run.product)))
    mixture = torch.randn(1, 1, 4000)
    with torch.no_grad():
        voices, own = network(mixture), bare(mixture)
    if alone:
        assert torch.equal(voices, own)
    else:
        remainder = ((mixture - voices) * voices).sum(-1)
        assert remainder.abs().max() < 1e-3 * mixture.square().sum()
        likeness = torch.cosine_similarity(own, voices, dim=-1).abs()
        torch.testing.assert_close(likeness, torch.ones_like(likeness))


def test_each_voice_is_heard_in_either_polarity(tmp_path, speech):
    """Of mixtures made here, not of ready ones, which are real."""
    plan, corpus = tiny_recipe(1, batch=64), Corpus(speech / "train", tmp_path / "cache")
    (voices,) = plan.examples(corpus, 3)
    same = plan._voices(corpus, 64, plan.seconds, np.random.default_rng([plan.seed, 3]))
    signs = (voices * same).sum(-1).sign()
    torch.testing.assert_close(voices, signs.unsqueeze(-1) * same)
    assert {tuple(pair) for pair in signs.tolist()} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_a_silent_source_asks_for_silence():
    estimate = torch.randn(100, requires_grad=True)
    conv_tasnet.si_snr(estimate, torch.zeros(100)).backward()
    assert estimate.grad.isfinite().all() and estimate.detach() @ estimate.grad < 0


def test_voices_are_of_different_speakers_at_the_asked_levels(tmp_path, speech):
    corpus = Corpus(speech / "train", tmp_path / "cache")
    assert corpus.speakers == ["1", "2", "3"]
    rng = np.random.default_rng(0)
    levels = []
    for _ in range(20):
        voices = conv_tasnet.draw_voices(corpus, 3, 48000, 2.5, rng)
        assert np.all(np.abs(np.corrcoef(voices) - np.eye(3)) < 0.1)
        level = 10 * np.log10(np.mean(voices.astype(np.float64)**2, axis=1))
        levels += list(level[1:] - level[0])
    assert max(np.abs(levels)) < 2.6 and np.std(levels) == pytest.approx(2.5 / 3**0.5, abs=0.4)
    with pytest.raises(ValueError, match="speakers"):
        conv_tasnet.draw_voices(corpus, 4, 1000, 0.0, rng)


def test_training_learns_to_separate(tmp_path, speech):
    run = loop.train(tiny_recipe(30, learning_rate=5e-3), speech, tmp_path / "run")
    entries = [json.loads(line) for line in run.log.read_text().splitlines()]
    losses = [e["loss"] for e in entries if "loss" in e]
    assert len(losses) == 30 and np.mean(losses[-5:]) < np.mean(losses[:5]) - 1
    card = hub.read_card(run.product)
    assert run.product.name == "separator.safetensors" and card["prediction"] == "sources"
    assert np.isfinite(card["validation_gain_db"]["2 voices"])

    network = conv_tasnet.load_separator(run.product)
    sources = np.concatenate([voice(1.0, seed=7), noise(8, 16000)])
    voices = conv_tasnet.separate(network, sources.sum(0))
    assert voices.shape == (2, 16000) and voices.dtype == np.float32
    trained = conv_tasnet.pit_si_snr(*(torch.from_numpy(x)[None] for x in (voices, sources)))
    assert trained > conv_tasnet.si_snr(*map(torch.from_numpy, (sources.sum(0), sources))).mean()
    assert not conv_tasnet.separate(network, np.zeros(100)).any()


def test_validation_of_the_mixture_itself_is_zero():
    sources = torch.randn(5, 2, 2000)
    gains = tiny_recipe(1).validate(lambda mixture: mixture.expand(-1, 2, -1), sources)
    assert gains == {"2 voices": 0.0}


def test_resumed_equals_unbroken(tmp_path, speech):
    whole = loop.train(tiny_recipe(8), speech, tmp_path / "whole")
    half = tiny_recipe(8)
    run = loop.Run(half, tmp_path / "halves", torch.device("cpu"))
    corpus = Corpus(speech / "train", tmp_path / "whole" / "cache")
    for _ in range(4):
        run.advance(run.batch(corpus))
    run.save()
    halves = loop.train(half, speech, tmp_path / "halves", resume=True)
    assert halves.step == whole.step == 8
    for name, weight in whole.ema.items():
        torch.testing.assert_close(halves.ema[name], weight)


def test_a_compiled_run_is_the_same_and_validates_as_it_is(tmp_path, speech, monkeypatch):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compile_as_is = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_as_is(self,
                                                                               backend=backend))
    runs = [loop.train(tiny_recipe(2), speech, tmp_path / str(compiled), compile=compiled,
                       validate_every=1) for compiled in (False, True)]
    assert len(graphs) == 1  # that of a step
    plain, compiled = (run.denoiser.state_dict() for run in runs)
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)
    resumed = loop.train(tiny_recipe(3), speech, tmp_path / "True", resume=True)
    assert resumed.step == 3


def test_a_prior_is_no_separator(prior):
    with pytest.raises(hub.PriorError, match="not a separator"):
        conv_tasnet.load_separator(prior)
