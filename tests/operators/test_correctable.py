import pytest
import torch

from voxmend.diffusion.told import GuessDenoiser
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.operators import Clip, Gap, Lowpass


def clipped(*lengths: int) -> torch.Tensor:
    """±1 in runs of such lengths, 20 samples apart, in a faint tone."""
    y = 0.3 * torch.sin(torch.arange(400) * 0.3)
    for number, length in enumerate(lengths):
        y[20 * number + 10:20 * number + 10 + length] = (-1) ** number
    return y[None, None]


def test_corrections_count_from_runs_of_three_samples_and_wholly_from_five():
    y = clipped(1, 2, 3, 4, 5, 9)
    weight = Clip(1.0).evidence(y, y).weight[0, 0]
    found = [weight[20 * n + 10].item() for n in range(6)]
    assert found == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1])
    assert (weight[y[0, 0].abs() < 0.9] == 1).all()


def test_runs_are_as_long_at_any_rate():
    y = clipped(6, 9, 15)
    weight = Clip(1.0, sample_rate=48000).evidence(y, y).weight[0, 0]
    assert [weight[20 * n + 10].item() for n in range(3)] == pytest.approx([0, 1 / 3, 1])


def test_runs_at_the_ends_and_whole_signals_of_clipped_samples():
    y = torch.ones(1, 1, 8)
    y[..., 2:5] = 0
    assert Clip(1.0).evidence(y, y).weight[0, 0].tolist() == pytest.approx([0, 0, 1, 1, 1]
                                                                           + [1 / 3] * 3)
    assert (Clip(1.0).evidence(torch.ones(1, 1, 9), torch.ones(1, 1, 9)).weight == 1).all()


def test_weights_of_compositions():
    y, gap = clipped(2, 9), Gap.between([(0.02, 0.022)], 400, 16000)
    alone = Clip(1.0).evidence(y, y).weight
    assert torch.equal((gap @ Clip(1.0)).evidence(y, y).weight, alone)
    # what a lost band lacks is missing in short runs, too
    assert (Clip(1.0) @ Lowpass(3000)).evidence(y, y).weight is None


def test_a_posterior_keeps_the_guess_in_short_runs_and_is_the_priors_elsewhere():
    torch.manual_seed(0)
    network = FrameConvNeXt(channels=16, blocks=1, inputs=2, marks=2)
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    prior = GuessDenoiser(network, 16000, 0.002, 2.0, 0.1).eval()
    y = clipped(2, 9)
    evidence = Clip(1.0).evidence(y, y)
    x = y + 2 * torch.randn(y.shape)
    with torch.no_grad():
        found, whole = prior.told(evidence)(x, 2.0), prior(x, 2.0, evidence)
    short = torch.zeros(400, dtype=torch.bool)
    short[10:12] = True
    assert torch.equal(found[..., short], evidence.guess[..., short])
    assert torch.equal(found[..., ~short], whole[..., ~short])
    assert not torch.allclose(found[..., short], whole[..., short])
