"""A second network corrects a prior's estimates, which hears what it did before."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from voxmend import Damage, Restorer, audio
from voxmend.diffusion.chunked import ChunkedDenoiser
from voxmend.diffusion.denoiser import EDMDenoiser
from voxmend.diffusion.told import GuessDenoiser
from voxmend.diffusion.two_stage import TwoStageDenoiser
from voxmend.models import hub
from voxmend.networks.band_convnext import BandConvNeXt
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.operators import Evidence
from voxmend.training import loop
from voxmend.training.two_stage import TwoStageRecipe

FIRST = {"channels": 16, "blocks": 1, "kernel": 3, "inputs": 2, "marks": 2}
SECOND = {"channels": 8, "blocks": 1, "kernel": [3, 3]}
LEVELS = {"sample_rate": 16000, "sigma_min": 0.002, "sigma_max": 2.0, "sigma_data": 0.1}


def drawn(network):
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.fixture(scope="module")
def denoiser():
    return TwoStageDenoiser(GuessDenoiser(drawn(FrameConvNeXt(**FIRST))),
                            drawn(BandConvNeXt(**SECOND))).eval()


@pytest.fixture
def weights(tmp_path):
    """Both stages in a folder."""
    first, second = tmp_path / "base.safetensors", tmp_path / "second.safetensors"
    hub.save_prior(first, drawn(FrameConvNeXt(**FIRST)).state_dict(), LEVELS | {
        "network": "FrameConvNeXt", "config": FIRST, "prediction": "guess"})
    hub.save_prior(second, drawn(BandConvNeXt(**SECOND)).state_dict(), LEVELS | {
        "network": "BandConvNeXt", "config": SECOND, "prediction": "two-stage", "first": "base",
        "first_sha256": hub.file_hash(first)})
    return second


class Half(nn.Module):
    """Says half of the estimate, and which signals and levels it is told."""

    def forward(self, x, noise):
        self.heard = x, noise
        return 0.5 * x[:, 1:]


def test_the_correction_is_what_the_formula_says():
    first = EDMDenoiser(drawn(FrameConvNeXt(16, 1, 3)))
    two, x = TwoStageDenoiser(first, Half()), 0.1 * torch.randn(2, 3, 3000)
    sigma = torch.tensor([[0.02, 0.1, 1.0], [0.3, 0.05, 0.004]])
    with torch.no_grad():
        estimate = first(x, sigma)
        c_out = (sigma * 0.1 / (sigma**2 + 0.01).sqrt())[..., None]
        torch.testing.assert_close(two(x, sigma), estimate + c_out * 0.5 * estimate / 0.1)
    heard, noise = two.network.heard
    torch.testing.assert_close(heard[:, 0], x.flatten(0, 1) / 0.1)
    torch.testing.assert_close(noise, sigma.flatten().log() / 4)


@pytest.mark.parametrize("length", [300, 40000, 60007])
def test_chunks_equal_the_whole(denoiser, length):
    x = 0.1 * torch.randn(2, 1, length, generator=torch.Generator().manual_seed(length))
    sigma = torch.tensor([0.02, 0.5])
    pieces = ChunkedDenoiser(denoiser, seconds=1.0)
    with torch.no_grad():
        torch.testing.assert_close(pieces(x, sigma), denoiser(x, sigma), rtol=0, atol=1e-5)


def test_what_is_told_is_told_the_first_stage(denoiser):
    assert isinstance(denoiser.innermost, GuessDenoiser)
    x, guess = torch.randn(1, 1, 4000), 0.1 * torch.randn(1, 1, 4000)
    with torch.no_grad():
        alone = denoiser.denoiser(x, 2.0, Evidence.of(guess))
        assert torch.equal(denoiser.innermost.told(Evidence.of(guess))(x, 2.0), alone)


def test_weights_are_loaded_with_those_they_correct(weights, denoiser):
    found, x = hub.load_prior(weights), 0.1 * torch.randn(1, 1, 3000)
    with torch.no_grad():
        torch.testing.assert_close(found(x, 0.05), denoiser(x, 0.05))
    restorer = Restorer("denoise", weights, device="cpu", precision="fp32")
    wave = 0.1 * np.random.default_rng(0).standard_normal(20000).astype(np.float32)
    assert np.isfinite(restorer(wave, 16000, Damage(noise=0.05, rms=0.1))).all()
    assert restorer.entry["prior"] == "second"


def test_a_missing_or_another_first_stage_is_named(weights):
    first, card = weights.with_name("base.safetensors"), hub.read_card(weights)

    def refused(**changes):
        told = {key: value for key, value in (card | changes).items() if value is not None}
        weights.with_suffix(".json").write_text(json.dumps(told))
        with pytest.raises(hub.PriorError) as caught:
            hub.load_prior(weights)
        assert str(caught.value).startswith(f"{weights}: ") and "\n" not in str(caught.value)
        return str(caught.value)

    assert "corrects the prior base of SHA-256 beef, but" in refused(first_sha256="beef")
    assert "which is none of EDM's kind" in refused(first="second", first_sha256=None)
    assert "fit their card ('first')" in refused(first=None)
    first.unlink()
    assert "put base.safetensors and its card beside it" in refused()


def test_a_training_moves_the_second_stage_alone(weights, tmp_path):
    for part, seed in (("train", 0), ("val", 1)):
        (tmp_path / part).mkdir()
        rng = np.random.default_rng(seed)
        for name in "ab":
            audio.save(tmp_path / part / f"{name}.wav",
                       0.1 * np.sin(np.cumsum(rng.uniform(0.05, 0.2, (1, 32000)), 1)), 16000)
    first = weights.with_name("base.safetensors")
    recipe = TwoStageRecipe(name="tiny", network="BandConvNeXt", config=SECOND, first=str(first),
                            steps=20, batch=4, seconds=0.5, warmup=1, learning_rate=3e-3)
    run = loop.train(recipe, tmp_path, tmp_path / "run")
    for path in (first, first.with_suffix(".json")):
        shutil.copy(path, run.folder)
    made = hub.load_prior(run.product)
    base = hub.load_prior(first)
    trained = zip(base.parameters(), made.denoiser.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in trained)
    card = hub.read_card(run.product)
    assert (card["first"], card["first_sha256"]) == ("base", hub.file_hash(first))
    assert card["parameters"] == sum(p.numel() for p in made.network.parameters())
    corpus = loop.open_data(recipe, tmp_path, tmp_path / "cache", None)[0]
    pool = recipe.prepare(corpus, torch.device("cpu"))
    with torch.no_grad():
        before, after = (np.mean([recipe.loss(model, *recipe.examples(pool, step)).item()
                                  for step in range(100, 104)]) for model in (base, made))
    assert after < before - 0.1
