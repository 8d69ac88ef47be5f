"""Networks are found by their names; those of others are not imported on a card's word."""

import json
import sys

import pytest
import torch

from voxmend.models import hub
from voxmend.networks import NetworkError, find_network, networks, register
from voxmend.networks.diffwave import DiffWave
from voxmend.training.recipes import PriorRecipe

MINE = """
from torch import nn, randn

class Level(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gain = nn.Parameter(randn(size, 1))

    def forward(self, x, noise):
        return self.gain.mean() * x

def build(size):
    return Level(size)
"""
FINDING = {"sample_rate": 16000, "sigma_min": 0.002, "sigma_max": 2.0, "sigma_data": 0.1}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of somebody else's, not imported yet."""
    (tmp_path / "somebody_else.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "somebody_else"
    sys.modules.pop("somebody_else", None)


def weights(folder, network, config, state=None):
    path = folder / "mine.safetensors"
    hub.save_prior(path, state or {}, {"network": network, "config": config, **FINDING})
    return path


def test_a_class_registers_itself_by_its_name():
    assert networks()["DiffWave"] is find_network("DiffWave") is DiffWave
    assert list(networks()) == sorted(networks()) and len(networks()) >= 13
    with pytest.raises(NetworkError, match="unknown network 'Wave'; known: .*DiffWave"):
        find_network("Wave")
    with pytest.raises(NetworkError, match="both have a network DiffWave; rename one"):
        register(type("DiffWave", (torch.nn.Module,), {}))
    assert networks()["DiffWave"] is DiffWave


def test_a_recipe_names_a_network_of_another_package(mine, tmp_path):
    recipe = PriorRecipe("mine", f"{mine}:Level", {"size": 3}, steps=1)
    network = recipe.build().network
    assert type(network).__module__ == mine
    assert torch.equal(network.gain, recipe.build().network.gain)
    path = weights(tmp_path, recipe.network, recipe.config, network.state_dict())
    assert torch.equal(hub.load_prior(str(path)).network.gain, network.gain)


def test_a_card_imports_nothing_that_the_user_did_not(mine, tmp_path, monkeypatch):
    path = weights(tmp_path, f"{mine}:Level", {"size": 3}, {"gain": torch.ones(3, 1)})
    with pytest.raises(hub.PriorError, match=f"mine.safetensors: {mine}:Level: not imported"):
        hub.load_prior(str(path))
    assert mine not in sys.modules
    monkeypatch.setenv("VOXMEND_NETWORKS", mine)
    assert hub.load_prior(str(path)).network.gain.shape == (3, 1)


@pytest.mark.parametrize("name", ["os:system", "json:dumps", "builtins:exec", "sys:nothing",
                                  "torch:Tensor"])
def test_a_card_calls_nothing_but_networks(name, tmp_path):
    path = weights(tmp_path, name, {"command": "false"})
    with pytest.raises(hub.PriorError, match="has no such network"):
        hub.load_prior(str(path))


def test_a_recipe_s_mistakes_are_said(mine):
    for name, words in ((f"{mine}:build", "has no such network"), ("no_such:Net", "No module")):
        with pytest.raises(NetworkError, match=words):
            PriorRecipe("mine", name, {}, steps=1).build()


def test_other_weights_say_what_takes_them(prior, tmp_path):
    card = json.loads(prior.with_suffix(".json").read_text())
    path = tmp_path / "other.safetensors"
    path.write_bytes(prior.read_bytes())
    for prediction, words in [*hub.OTHERS.items(), ("weather", "predicts weather, no prior")]:
        path.with_suffix(".json").write_text(json.dumps({**card, "prediction": prediction}))
        with pytest.raises(hub.PriorError) as refused:
            hub.load_prior(str(path))
        assert str(refused.value) == f"{path}: {words}"
