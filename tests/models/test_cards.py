"""Cards and checkpoints that no network can be made of are told in one line."""

import json

import pytest
import torch

from voxmend.models import hub, importers
from voxmend.models.pickled import CheckpointError
from voxmend.networks.diffwave import DiffWave


@pytest.mark.parametrize("change", [
    {"network": None}, {"network": 3}, {"config": [1]}, {"prediction": ["guess"]},
    {"config": {"dilations": []}}, {"config": {"channels": 0}}, {"config": {"kernel": "x"}},
    {"sample_rate": None}, {"sigma_data": "x"}])
def test_a_card_of_no_network_is_named(change, tmp_path):
    card = hub.read_card(hub.find_prior("speech16k"))
    change = {"config": card["config"] | change["config"]} if isinstance(
        change.get("config"), dict) else change
    (tmp_path / "a.safetensors").symlink_to(hub.find_prior("speech16k"))
    (tmp_path / "a.json").write_text(json.dumps(card | change))
    with pytest.raises(hub.PriorError, match=rf"^{tmp_path}/a\.") as caught:
        hub.load_prior(tmp_path / "a.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("averages", [None, 3, [], [3], [None], {}])
def test_averages_that_are_none_are_named(averages, tmp_path):
    state = {name.replace("embedding.", "diffusion_embedding.", 1): tensor
             for name, tensor in DiffWave(layers=2, channels=16).state_dict().items()}
    path = tmp_path / "diffwave.ckpt"
    torch.save({"state_dict": state, "ema_params": averages}, path)
    with pytest.raises(CheckpointError, match=rf"^{path}: has 0 averages for \d+ parameters"):
        importers.import_undiff(path, tmp_path / "out.safetensors", ema=True)


def test_a_diffsep_without_channels_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"output_layer.weight": torch.zeros(0), "output_layer.bias": torch.zeros(0),
                "all_modules.3.bias": torch.zeros(0)}, path)
    with pytest.raises(CheckpointError, match=rf"^{path}: its weights have shapes that no NCSNpp"):
        importers.import_diffsep(path, tmp_path / "out.safetensors")
