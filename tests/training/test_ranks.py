"""Many processes train as one: the same losses, checkpoints for any number of them."""

import json
import os
import subprocess
import sys
from shutil import rmtree

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers.ranks import on_ranks
from helpers.speech import CONFIG, voice
from voxmend import audio
from voxmend.systems.segan import SEGANRecipe
from voxmend.training import loop
from voxmend.training.ahead import Ahead
from voxmend.training.ranks import Ranks, SharedBatchNorm
from voxmend.training.recipes import EpsilonRecipe, PriorRecipe, muon_and_adamw


class MuonRecipe(PriorRecipe):
    def optimizers(self, denoiser):
        return muon_and_adamw(denoiser, 2e-3, 1e-3, 0.01)


COMMON = dict(name="tiny", seconds=0.25, steps=8, batch=5, warmup=2)
RECIPES = {
    "Muon": lambda: MuonRecipe(**COMMON, network="FrameConvNeXt", config=CONFIG),
    "batch norm": lambda: EpsilonRecipe(**COMMON, network="FFCAE", learning_rate=1e-3,
                                        config=dict(channels=8, blocks=1)),
    "adversaries": lambda: SEGANRecipe(**COMMON, config=dict(channels=(4, 8)),
                                       discriminator=(4, 8))}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split, seeds in (("train", (0, 1, 2)), ("val", (3,)), ("hum", (4,))):
        (folder / split).mkdir()
        for seed in seeds:
            audio.save(folder / split / f"{seed}.flac", voice(2.0, seed=seed), 16000)
    return folder


@pytest.fixture(autouse=True)
def short_validation(monkeypatch):
    for kind in (PriorRecipe, SEGANRecipe):
        held_out = kind.held_out
        monkeypatch.setattr(kind, "held_out",
                            lambda *args, whole=held_out: whole(*args)[:2, :, :4000])


def train(recipe, data, out, **options):
    return loop.train(recipe, data, out, noise=data / "hum" if recipe.needs_noise else None,
                      **options)


def losses(folder):
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in entries if "loss" in e] == list(range(1, 9))
    return [e["loss"] for e in entries if "loss" in e]


@pytest.mark.parametrize("name", RECIPES)
def test_two_ranks_train_as_one_process(name, data, tmp_path):
    """Shares are of 3 and 2 examples; Muon, batch norms and adversaries make no difference."""
    train(RECIPES[name](), data, tmp_path / "one")
    on_ranks(2, lambda rank: train(RECIPES[name](), data, tmp_path / "two").step, tmp_path)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-4)
    product = f"{RECIPES[name]().product}.safetensors"
    one, two = (load_file(tmp_path / run / product) for run in ("one", "two"))
    for key, tensor in one.items():
        torch.testing.assert_close(two[key], tensor, rtol=2e-3, atol=2e-4)
    card = json.loads((tmp_path / "two" / product).with_suffix(".json").read_text())
    assert card["training"]["processes"] == 2


def test_a_checkpoint_serves_any_number_of_ranks(data, tmp_path):
    """One process, two, three, one in two pieces and two in two go on from each other's."""
    def go_on(steps, **options):
        recipe = RECIPES["Muon"]()
        recipe.decay = 0.0  # the rate falls nowhere, whatever the number of steps
        return train(recipe, data, tmp_path / "some", steps=steps, resume=True, **options)

    go_on(8)
    whole = losses(tmp_path / "some")
    rmtree(tmp_path / "some")
    go_on(2)
    on_ranks(2, lambda rank: go_on(4).step, tmp_path)
    on_ranks(3, lambda rank: go_on(5).step, tmp_path)
    go_on(6, accumulate=2)
    on_ranks(2, lambda rank: go_on(8, accumulate=2).step, tmp_path)
    np.testing.assert_allclose(losses(tmp_path / "some"), whole, rtol=1e-4)


@pytest.mark.parametrize("pieces", [2, 3, 5])
def test_accumulated_gradients_are_those_of_the_batch(pieces, data, tmp_path):
    train(RECIPES["Muon"](), data, tmp_path / "whole")
    train(RECIPES["Muon"](), data, tmp_path / "pieces", accumulate=pieces)
    np.testing.assert_allclose(losses(tmp_path / "pieces"), losses(tmp_path / "whole"), rtol=1e-4)


def test_shares_are_the_batch():
    batch = (torch.arange(11), torch.arange(22).view(11, 2))
    for count, pieces in ((1, 1), (3, 1), (1, 4), (2, 3)):
        shares = [share for rank in range(count)
                  for share in Ranks(rank, count).share(batch, pieces)]
        assert sorted(torch.cat([rows for _, (rows, _) in shares]).tolist()) == list(range(11))
        for weight, (rows, others) in shares:
            assert weight / count == pytest.approx(len(rows) / 11)
            assert torch.equal(others[:, 0], 2 * rows)
    two, three = ([tuple(rows.tolist()) for rank in range(n)
                   for _, (rows, _) in Ranks(rank, n).share(batch, 6 // n)] for n in (2, 3))
    assert sorted(two) == sorted(three)


def test_more_pieces_than_examples_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="a batch of 5 makes no 6 pieces"):
        train(RECIPES["Muon"](), data, tmp_path / "run", accumulate=6)
    assert not (tmp_path / "run").exists()


def test_shared_batch_norm_is_batch_norm_of_all(tmp_path):
    """Output, gradients and running statistics, for shares of 4 and 2 examples."""
    x = torch.randn(6, 3, 10, generator=torch.Generator().manual_seed(0)) * 3 + 1
    target = torch.randn(6, 3, 10, generator=torch.Generator().manual_seed(1))

    def work(rank=None):
        mine = slice(None) if rank is None else (slice(0, 4), slice(4, 6))[rank]
        norm = torch.nn.BatchNorm1d(3)
        if rank is not None:
            norm.__class__ = SharedBatchNorm
        heard = x[mine].clone().requires_grad_(True)
        out = norm(heard)
        (out * target[mine]).sum().backward()
        return out.detach(), heard.grad, norm.weight.grad, dict(norm.named_buffers()), (
            norm.eval()(heard).detach())

    one, two = work(), on_ranks(2, work, tmp_path)
    for place in (0, 1, 4):
        torch.testing.assert_close(torch.cat([two[0][place], two[1][place]]), one[place],
                                   rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(two[0][2] + two[1][2], one[2], rtol=1e-5, atol=1e-5)
    for found in two:
        torch.testing.assert_close(found[3], one[3], rtol=1e-5, atol=1e-5)


def test_what_comes_next_is_made_meanwhile():
    made = []

    def make(step):
        if step == 3:
            raise ValueError("no noise")
        made.append(step)
        return step * 10

    with Ahead(make, 4) as ahead:
        assert [ahead(step) for step in (0, 1, 2)] == [0, 10, 20] and made == [0, 1, 2]
        with pytest.raises(ValueError, match="no noise"):
            ahead(3)
    with Ahead(made.append, 2) as ahead:
        ahead(1)
    assert made[3:] == [1]


def test_torchrun_starts_the_command(data, tmp_path):
    recipe = tmp_path / "tiny.py"
    recipe.write_text("from voxmend.training.recipes import PriorRecipe\n"
                      f"recipe = PriorRecipe(**{COMMON}, network='FrameConvNeXt', "
                      f"config={CONFIG})\n")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "voxmend", "train", str(recipe), "--data", str(data), "--out",
         str(tmp_path / "run"), "--device", "cpu"],
        check=False, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("use it with --prior") == 1
    assert len(losses(tmp_path / "run")) == 8
