"""Priors that listen: told nothing they are plain priors, and one call gives the mean."""

import pytest
import torch

from helpers.speech import CONFIG
from voxmend.diffusion import samplers
from voxmend.diffusion.chunked import NoiseStream
from voxmend.diffusion.denoiser import EDMDenoiser, broadcast, edm_coefficients
from voxmend.diffusion.schedules import geometric_grid
from voxmend.diffusion.told import Listener, ToldDenoiser
from voxmend.models import hub


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = hub.build_network("FrameConvNeXt", CONFIG | {"inputs": 2})
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return made.requires_grad_(False)


class Deaf(torch.nn.Module):
    """Hears the noisy signal alone."""

    def __init__(self):
        super().__init__()
        self.net = hub.build_network("FrameConvNeXt", CONFIG)

    def forward(self, x, noise):
        return self.net(x[:, :1], noise)


def test_told_nothing_it_is_a_plain_prior(network):
    """As told zeros, and as an EDM denoiser of the same network."""
    prior, x = ToldDenoiser(network), drawn(2, 1, 3000)
    torch.testing.assert_close(prior(x, 0.3), prior(x, 0.3, torch.zeros_like(x)))
    assert (prior(x, 0.3) - prior(x, 0.3, x)).abs().max() > 1e-3
    deaf = Deaf().requires_grad_(False)
    torch.testing.assert_close(ToldDenoiser(deaf)(x, 0.3, x), EDMDenoiser(deaf.net)(x, 0.3))


def test_it_is_told_at_the_level_of_speech(network):
    prior, x, y, seen = ToldDenoiser(network, sigma_data=0.2), drawn(1, 1, 2000), drawn(
        1, 1, 2000, seed=1), []
    network.register_forward_pre_hook(lambda module, args: seen.append(args))
    out = prior(x, 0.5, y)
    (told, noise), = seen
    skip, scale, into = edm_coefficients(torch.tensor(0.5), 0.2)
    torch.testing.assert_close(told, torch.cat([into * x, y / 0.2], 1))
    assert noise.item() == pytest.approx(torch.tensor(0.5).log().item() / 4)
    torch.testing.assert_close(out, skip * x + scale * network(told, noise))


@pytest.mark.parametrize("length", [1, 100, 127, 128, 1000, 4097])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_length_and_channels_apart(length, channels, network):
    prior = ToldDenoiser(network)
    x, y = drawn(2, channels, length), drawn(2, channels, length, seed=1)
    sigma = torch.tensor([0.1, 1.0])
    found = prior(x, sigma, y)
    assert found.shape == x.shape and found.isfinite().all()
    for item in range(2):
        for c in range(channels):
            alone = prior(x[item:item + 1, c:c + 1], sigma[item], y[item:item + 1, c:c + 1])
            torch.testing.assert_close(found[item, c], alone[0, 0], rtol=1e-4, atol=1e-5)


def test_chunks_equal_the_whole(network):
    """Of the noisy signal and the recording cut alike, with the receptive field on either side."""
    prior, x, y = ToldDenoiser(network), drawn(1, 1, 8192), drawn(1, 1, 8192, seed=1)
    halo = -(-prior.receptive_field // prior.hop) * prior.hop
    whole = prior(x, 0.2, y)
    first = 2048
    window = slice(first - halo, first + 1024 + halo)
    part = prior(x[..., window], 0.2, y[..., window])[..., halo:halo + 1024]
    torch.testing.assert_close(part, whole[..., first:first + 1024], rtol=1e-4, atol=1e-5)


class Gaussian(ToldDenoiser):
    """The exact posterior's denoiser of x ~ N(0, .01) told y = x + n, n ~ N(0, .01)."""

    def __init__(self):
        super().__init__(torch.nn.Identity())

    def forward(self, x, sigma, recording=None):
        precision = 100.0 + broadcast(sigma, x) ** -2
        total = x * broadcast(sigma, x) ** -2
        if recording is not None:
            precision, total = precision + 100.0, total + 100.0 * recording
        return total / precision


def test_one_call_is_the_posterior_mean():
    y, noise = 0.1 * drawn(1, 1, 5000), drawn(1, 1, 5000, seed=1)
    found = Gaussian().posterior_mean(y, noise)
    torch.testing.assert_close(found, y / 2, rtol=0, atol=0.02)


def test_told_serves_every_sampler():
    """The posterior N(y/2, .005) comes out of its denoiser."""
    prior, y = Gaussian(), torch.full((1, 1, 20000), 0.1)
    x = y + prior.sigma_max * drawn(*y.shape)
    for name in ("heun", "ancestral"):
        generator = torch.Generator().manual_seed(3)
        found = samplers.SAMPLERS[name](prior.told(y), x, geometric_grid(40, 2.0, 0.002),
                                        lambda like, rng=generator: torch.randn(like.shape,
                                                                                generator=rng))
        assert found.mean() == pytest.approx(0.05, abs=0.003)
        assert found.std() == pytest.approx(0.005**0.5, rel=0.1)


def test_a_listener_parts_recordings(network):
    prior, mixture = ToldDenoiser(network), drawn(2, 1, 3000)
    found = Listener(prior, seed=5)(mixture)
    assert found.shape == (2, 2, 3000)
    torch.testing.assert_close(found.sum(1, keepdim=True), mixture)
    assert torch.equal(found, Listener(prior, seed=5)(mixture))
    assert not torch.equal(found, Listener(prior, seed=6)(mixture))
    assert not torch.equal(found, Listener(prior, seed=5)(mixture, 100))  # noise of another place
    noise = NoiseStream(5)(mixture[:1]).expand_as(mixture)
    speech = prior.posterior_mean(0.1 * mixture, noise) / 0.1
    torch.testing.assert_close(found[:, :1], speech)
