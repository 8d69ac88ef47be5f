"""Training of a prior that is told the recording: what it sees, its loss, that it resumes."""

import json

import numpy as np
import pytest
import torch

from helpers.speech import CONFIG, voice
from voxmend import audio
from voxmend.diffusion.told import ToldDenoiser
from voxmend.models import hub
from voxmend.training import loop, noises
from voxmend.training.corpus import Corpus
from voxmend.training.damages import power
from voxmend.training.disturbance import disturbance
from voxmend.training.listening import ListeningRecipe, compressed, si_sdr
from voxmend.training.pool import Draws
from voxmend.training.recipes import muon_and_adamw


def recipe(**options):
    sizes = CONFIG | {"channels": 8, "blocks": 1, "dilations": [1], "inputs": 2}
    return ListeningRecipe(**{"name": "tiny", "network": "FrameConvNeXt", "steps": 8, "batch": 4,
                              "seconds": 0.25, "warmup": 2, "config": sizes} | options)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of speech and of noise, each with train/ and val/."""
    root = tmp_path_factory.mktemp("data")
    for part, seeds in (("train", (0, 1)), ("val", (2,))):
        for kind in ("speech", "noise"):
            (root / kind / part).mkdir(parents=True)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            audio.save(root / "speech" / part / f"{seed}.wav", voice(2.0, seed=seed), 16000)
            audio.save(root / "noise" / part / f"{seed}.wav", 0.1 * rng.normal(size=(1, 30000)),
                       16000)
    return root


@pytest.fixture(scope="module")
def corpus(data, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    found = Corpus(data / "speech" / "train", cache, 16000)
    found.noise = Corpus(data / "noise" / "train", cache, 16000)
    return found


def test_examples_are_what_the_recipe_says(corpus):
    made = recipe(batch=120, untold=0.2, top=0.5)
    pools = made.prepare(corpus, torch.device("cpu"))
    clean, recording, sigma, noise, told = made.examples(pools, 0)
    assert clean.shape == recording.shape == noise.shape == (120, 1, 4000)
    assert sigma.shape == (120, 1, 1) and told.shape == (120,) and told.dtype == torch.bool
    assert not recording[~told].any() and recording[told].flatten(1).any(1).all()
    assert told.float().mean() == pytest.approx(0.8, abs=0.1)
    top = (sigma == made.sigma_max).float().mean()
    assert top == pytest.approx(0.5, abs=0.1)
    rest = sigma[sigma < made.sigma_max]
    assert rest.min() >= made.sigma_min and rest.log().std() > 1
    for one, again in zip(made.examples(pools, 3), made.examples(pools, 3), strict=True):
        assert torch.equal(one, again)
    assert not torch.equal(made.examples(pools, 4)[0], made.examples(pools, 3)[0])


def test_recordings_stand_at_their_ratio(corpus):
    """Noise alone, without a room or a line: at 10 dB over a whole recording's speech."""
    made = recipe(batch=50, wet=0.0, real=1.0, snr_db=(10.0, 10.0), gain_db=0.0)
    pools = made.prepare(corpus, torch.device("cpu"))
    clean, recording, *_ = made.examples(pools, 0)
    ratio = 10 * torch.log10(power(clean) / power(recording - clean))
    assert ratio.median() == pytest.approx(10, abs=2)  # a crop's speech is louder or softer
    assert power(recording).sqrt().median() == pytest.approx(made.sigma_data, rel=0.3)


def low(x):
    """What a signal holds below 100 Hz. Shape: `[B, 1, T]` to the same."""
    spectrum = torch.fft.rfft(x)
    return torch.fft.irfft(spectrum * (torch.fft.rfftfreq(x.shape[-1], 1 / 16000) < 100),
                           x.shape[-1])


def test_rumble_is_of_the_recording_alone(corpus):
    """In half the recordings it is all there is, and it counts in their level."""
    made = recipe(batch=60, wet=0.0, microphone=0.0, rumble=1.0, snr_db=(20.0, 20.0), gain_db=0.0)
    clean, recording, *_ = made.examples(made.prepare(corpus, torch.device("cpu")), 0)
    rest = recording - clean
    lost = (rest.square().mean((1, 2)) < 1e-8)  # unharmed
    clipped_or_narrow = power(rest - low(rest)) > 0.02 * power(clean)
    plain = ~(lost | clipped_or_narrow[:, 0, 0])
    ratio = power(low(rest)) / power(clean)
    assert plain.sum() > 30 and ratio[plain].max() > 1 and ratio[plain].median() < 1
    high = (power(rest - low(rest)) / power(clean))[plain].flatten()
    assert 0.3 < (high < 1e-3).float().mean() < 0.75


def test_tones_take_the_place_of_other_noise(corpus, monkeypatch):
    """With as much power; in half the recordings other noise, here of one sign, is left."""
    monkeypatch.setattr(noises, "tones", lambda like, draws, rate: torch.ones_like(like))
    made = recipe(batch=80, wet=0.0, microphone=0.0, real=0.0, tonal=1.0, snr_db=(0.0, 0.0))
    draws = Draws(80, "cpu", 1)
    pools = made.prepare(corpus, torch.device("cpu"))
    noise, level = made._noise(pools, draws, torch.zeros(80, 4000))
    np.testing.assert_allclose(power(noise), 1, rtol=1e-3)
    alone = (noise - 1).abs().amax(1) < 1e-3
    assert level.eq(1).all() and 0.35 < alone.float().mean() < 0.65


def test_another_spectrum_is_of_the_speech_that_is_wanted(corpus):
    plain, bent = (recipe(batch=60, snr_db=(90.0, 90.0), wet=0.0, microphone=0.0, gain_db=0.0,
                          shaped=share) for share in (0.0, 1.0))
    pools = plain.prepare(corpus, torch.device("cpu"))
    found = [made.examples(pools, 0)[:2] for made in (plain, bent)]
    for clean, recording in found:  # nothing else happens to most
        assert (power(recording - clean) / power(clean)).median() < 1e-4
    levels = [float(power(clean).median()) for clean, _ in found]
    assert levels[1] == pytest.approx(levels[0], rel=0.1)
    share = [(power(low(clean)) / power(clean)).flatten() for clean, _ in found]
    assert (10 * torch.log10(share[1] / share[0])).std() > 2  # the same crops, dB


def test_loss_is_that_of_its_formula():
    """mean ln(e + ε) + λ·ln(s + ε) + μ·d, the last two where told, recomputed with numpy."""
    made, rng = recipe(spectral=0.7, perceptual=0.4, floor=1e-3), torch.Generator().manual_seed(0)
    clean, recording, noise = (0.1 * torch.randn(3, 1, 2048, generator=rng) for _ in range(3))
    sigma = torch.tensor([0.01, 0.3, 2.0]).view(-1, 1, 1)
    told = torch.tensor([True, False, True])
    guess = 0.8 * clean + 0.01

    def denoiser(x, level, y):
        return guess

    found = made.loss(denoiser, clean, recording, sigma, noise, told).item()
    weight = (sigma**2 + 0.01) / (0.1 * sigma) ** 2
    error = (weight * (guess - clean) ** 2).mean((1, 2)).numpy()

    def heard(wave):
        window = np.hanning(513)[:-1]
        padded = np.pad(wave[:, 0].numpy() / 0.1, ((0, 0), (256, 256)))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 512, axis=1)[:, ::128]
        spectrum = np.fft.rfft(frames * window) / np.sqrt(np.sum(window**2))
        size = np.sqrt(np.abs(spectrum) ** 2 + 1e-5)
        return np.stack([spectrum.real * size**-0.7, spectrum.imag * size**-0.7, size**0.3], -1)

    apart = ((heard(guess) - heard(clean)) ** 2).mean((1, 2, 3))
    disturbed = disturbance(guess[:, 0], clean[:, 0]).numpy()
    expected = np.mean(np.log(error + 1e-3)
                       + told.numpy() * (0.7 * np.log(apart + 1e-3) + 0.4 * disturbed))
    assert found == pytest.approx(expected, abs=1e-3)


def test_what_pesq_hears_has_16_khz():
    recipe(sample_rate=8000)
    with pytest.raises(ValueError, match="tiny: perceptual hears 16000 Hz, not 8000"):
        recipe(sample_rate=8000, perceptual=0.5)


def test_spectra_are_compressed():
    spectrum = torch.tensor([2.0 + 0j, 3j, -1e-9 + 0j])
    parts = compressed(spectrum)
    np.testing.assert_allclose(parts[0], [2**0.3, 0, 2**0.3], rtol=1e-4)
    np.testing.assert_allclose(parts[1], [0, 3**0.3, 3**0.3], rtol=1e-4, atol=1e-7)
    assert parts.isfinite().all() and parts[2, :2].abs().max() < 1e-5


def test_si_sdr_is_scale_invariant():
    rng = np.random.default_rng(0)
    clean, noise = rng.normal(size=(2, 1, 4000))
    noise -= clean * (noise @ clean.T) / (clean @ clean.T)
    found = si_sdr(torch.from_numpy(3 * clean + 0.3 * noise), torch.from_numpy(clean))
    expected = 20 * np.log10(10 * np.linalg.norm(clean) / np.linalg.norm(noise))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_validation_is_the_gain_of_one_call(data, tmp_path):
    made = recipe()
    held = Corpus(data / "speech" / "val", tmp_path, 16000)
    held.noise = Corpus(data / "noise" / "val", tmp_path, 16000)
    pairs = made.held_out(held)
    assert pairs.shape == (32, 2, 32000) and torch.equal(pairs, made.held_out(held))
    speech, recording = pairs.unbind(1)
    before = si_sdr(recording, speech)
    assert before.mean() == pytest.approx(5, abs=0.5)

    class Half(ToldDenoiser):
        """Takes away half of the noise, which it knows."""

        def forward(self, x, sigma, recording=None):
            place = [torch.isclose(pairs[:, 1], y).all(1).nonzero()[0, 0] for y in recording[:, 0]]
            return (recording + pairs[place, :1]) / 2

    half = Half(torch.nn.Identity())
    assert made.validate(half, pairs)["noise at 5 dB"] == pytest.approx(6.02, abs=0.3)


def test_training_runs_resumes_and_loads(data, tmp_path):
    options = {"data": data / "speech", "noise": data / "noise"}
    steady = recipe(decay=0.0)  # its rate does not tell where it will end
    whole = loop.train(steady, folder=tmp_path / "whole", **options)
    loop.train(steady, folder=tmp_path / "broken", steps=5, **options)
    loop.train(steady, folder=tmp_path / "broken", steps=8, resume=True, **options)
    logs = [[json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
            for name in ("whole", "broken")]
    losses = [{e["step"]: e["loss"] for e in log if "loss" in e} for log in logs]
    assert list(losses[0]) == list(range(1, 9)) and all(map(np.isfinite, losses[0].values()))
    assert list(losses[1]) == list(losses[0])
    np.testing.assert_allclose(list(losses[1].values()), list(losses[0].values()), rtol=1e-5)
    assert whole.product.name == "enhancer.safetensors"
    card = hub.read_card(whole.product)
    assert (card["prediction"], card["sources"]) == ("told", 2) and "validation_gain_db" in card
    assert isinstance(hub.load_prior(str(whole.product)), ToldDenoiser)
    with pytest.raises(ValueError, match="mixes speech with noise"):
        loop.train(recipe(), data / "speech", tmp_path / "none")


def test_matrices_within_blocks_go_to_muon():
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    config = CONFIG | {"attention": 2, "channels": 64}
    network = hub.build_network("FrameConvNeXt", config)
    adamw, muon = muon_and_adamw(network, 2e-3, 1e-3, 0.01)
    names = {id(p): n for n, p in network.named_parameters()}
    inner = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    assert inner == {n for n in names.values() if n.endswith(
        ("expand.weight", "contract.weight", "project.weight", "join.weight"))}
    others = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert not inner & others and inner | others == set(names.values())
    assert (muon.param_groups[0]["lr"], adamw.param_groups[0]["lr"]) == (2e-3, 1e-3)
    alone, = muon_and_adamw(network, 0, 1e-3, 0.01)
    assert sum(len(group["params"]) for group in alone.param_groups) == len(names)
