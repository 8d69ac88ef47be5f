"""Weights on a hub: fetched of a commit, kept, used by every verb, shared; refused in one line."""

import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import save

from helpers.commands import run
from helpers.huggingface import TOKEN, Hub
from helpers.speech import voice
from voxmend import Restorer, networks, push_to_hub
from voxmend.models import hub, publish, remote
from voxmend.systems.separator import Separator

constants = pytest.importorskip("huggingface_hub.constants")
QUICK = {"steps": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def served():
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def hosted(served, monkeypatch, tmp_path):
    """The stand-in, empty, as huggingface_hub sees the hub; its cache, empty; no token."""
    template = "/{repo_id}/resolve/{revision}/{filename}"
    for told in (served.repositories, served.large, served.requests):
        told.clear()
    for name, value in {"ENDPOINT": served.url,
                        "HUGGINGFACE_CO_URL_TEMPLATE": served.url + template,
                        "HF_HUB_CACHE": str(tmp_path / "cache"),
                        "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True,
                        "HF_TOKEN_PATH": str(tmp_path / "token")}.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return served


@pytest.fixture
def files(prior):
    return {remote.WEIGHTS: prior.read_bytes(),
            remote.CARD: prior.with_suffix(".json").read_bytes()}


def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_restorer_of_a_hub_mends_as_of_the_file(hosted, files, prior):
    hosted.add("prior", files)
    ours = Restorer.from_pretrained("owner/prior", "denoise", **QUICK)
    theirs = Restorer("denoise", prior, **QUICK)
    assert np.array_equal(ours(voice(), 16000), theirs(voice(), 16000))
    assert {path.name for path in ours.weights.parent.iterdir()} == {remote.WEIGHTS, remote.CARD}


def test_a_revision_is_what_it_was(hosted, files):
    first = hosted.add("prior", files)
    second = hosted.add("prior", {remote.CARD: files[remote.CARD] + b"\n"})
    hosted.repositories["owner/prior"].refs["v1"] = first
    for revision, commit in ((None, second), ("v1", first), (first, first), ("main", second)):
        path = hub.find_prior(remote.reference("owner/prior", revision))
        assert remote.origin(path) == f"hf://owner/prior@{commit}"


def test_a_pinned_reference_asks_the_hub_once(hosted, files):
    commit = hosted.add("prior", files)
    pinned = remote.pin("hf://owner/prior")
    assert pinned == f"hf://owner/prior@{commit}" == remote.pin(pinned)
    assert remote.pin("speech16k") == "speech16k"
    hub.find_prior(pinned)
    hosted.requests.clear()
    assert hub.file_hash(hub.find_prior(pinned)) and not hosted.requests


@pytest.mark.parametrize("revision", [None, "v1", "commit"])
def test_what_is_in_the_cache_needs_no_network(hosted, files, monkeypatch, revision):
    commit = hosted.add("prior", files)
    hosted.repositories["owner/prior"].refs["v1"] = commit
    name = remote.reference("owner/prior", commit if revision == "commit" else revision)
    path = hub.find_prior(name)
    offline(monkeypatch)
    hosted.requests.clear()
    assert hub.find_prior(name) == path and not hosted.requests


def test_a_hub_that_is_down_leaves_the_cache(hosted, files, monkeypatch):
    hosted.add("prior", files)
    path = hub.find_prior("hf://owner/prior")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    assert hub.find_prior("hf://owner/prior") == path


@pytest.mark.parametrize("forbidden", ["1", "0"])
def test_the_environment_says_which_hub_and_whether_to_ask(hosted, files, tmp_path, forbidden):
    """As a person sets it, in a process of its own that loads no torch."""
    commit = hosted.add("prior", files)
    hub.find_prior("hf://owner/prior")
    hosted.add("other", files)
    hosted.requests.clear()
    code = ("from voxmend.models.remote import *; print(origin(fetch('hf://owner/prior'))); "
            "fetch('hf://owner/other')")
    environment = os.environ | {"HF_ENDPOINT": hosted.url, "HF_HUB_OFFLINE": forbidden,
                                "HF_HUB_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                          text=True, check=False)
    assert done.stdout.strip() == f"hf://owner/prior@{commit}"
    assert bool(hosted.requests) == (forbidden == "0") == (done.returncode == 0), done.stderr
    if forbidden == "1":
        told = done.stderr.splitlines()[-1]
        assert "hf://owner/other: model.json is not in the cache" in told
        assert str(tmp_path / "cache") in told and "unset HF_HUB_OFFLINE" in told


@pytest.mark.parametrize("down", [True, False])
def test_offline_says_file_cache_and_what_to_do(hosted, monkeypatch, tmp_path, down):
    if down:
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    else:
        offline(monkeypatch)
    with pytest.raises(remote.RemoteError) as raised:
        hub.find_prior("hf://owner/prior")
    told = str(raised.value)
    assert told.startswith("hf://owner/prior: model.json is not in the cache")
    assert str(tmp_path / "cache") in told and "\n" not in told
    assert ("connect" if down else "unset HF_HUB_OFFLINE") in told


def test_a_half_filled_cache_names_the_weights(hosted, files, monkeypatch):
    hosted.add("prior", files)
    remote.pin("hf://owner/prior")  # which fetches the card
    offline(monkeypatch)
    with pytest.raises(remote.RemoteError, match="model.safetensors is not in the cache"):
        hub.find_prior("hf://owner/prior")


@pytest.mark.parametrize("name, told", [
    ("hf://owner/absent", "no such repository"),
    ("hf://owner/prior@v9", "no such revision"),
    ("hf://owner/cardless", "holds no model.json"),
    ("hf://owner/pickled", "holds no model.safetensors"),
    ("hf://owner/gated", "grants access"),
    ("hf://prior", "give hf://OWNER/NAME"),
    ("hf://owner/prior@", "give hf://OWNER/NAME"),
    ("hf://owner/a/b", "give hf://OWNER/NAME"),
    ("hf://owner/--x--", "no such names"),
])
def test_what_cannot_be_fetched_is_one_line(hosted, files, wav, tmp_path, capsys, name, told):
    hosted.add("prior", files)
    hosted.add("cardless", {remote.WEIGHTS: files[remote.WEIGHTS]})
    hosted.add("pickled", {remote.CARD: files[remote.CARD], "pytorch_model.bin": b"code"})
    hosted.add("gated", files, gated=True)
    code, text = run(capsys, "denoise", wav(), tmp_path / "out.wav", "--prior", name)
    assert code == 2 and text.err.count("\n") == 1
    assert text.err.startswith(f"voxmend: {name}") and told in text.err
    assert not (tmp_path / "out.wav").exists()
    assert not any(request.endswith(".bin") for request in hosted.requests)


@pytest.mark.parametrize("card, weights, told", [
    ({"network": "Mystery", "config": {}}, None, "unknown network"),
    ({"prediction": "embedding"}, None, "an encoder of speakers"),
    ({}, save({"other": torch.zeros(2)}), "do not fit their card"),
    ({}, b"\x80\x04 a pickle", "damaged"),
    (None, None, "no card"),
], ids=["network", "prediction", "shapes", "pickle", "card"])
def test_what_does_not_fit_is_one_line(hosted, files, wav, tmp_path, capsys, card, weights, told):
    known = json.loads(files[remote.CARD])
    hosted.add("odd", {remote.WEIGHTS: weights or files[remote.WEIGHTS],
                       remote.CARD: json.dumps([] if card is None else known | card).encode()})
    code, text = run(capsys, "denoise", wav(), tmp_path / "out.wav", "--prior", "hf://owner/odd")
    assert code == 2 and text.err.count("\n") == 1 and told in text.err
    assert "owner--odd" in text.err


def test_the_sidecar_has_commit_and_hash(hosted, files, prior, wav, tmp_path, capsys):
    commit = hosted.add("prior", files)
    path = wav()
    code, text = run(capsys, "denoise", path, tmp_path / "out.wav", "--prior", "hf://owner/prior")
    assert code == 0, text.err
    entry = json.loads((tmp_path / "out.wav.voxmend.json").read_text())
    assert entry["prior"] == entry["options"]["prior"] == f"hf://owner/prior@{commit}"
    assert entry["weights_sha256"] == hub.file_hash(prior)
    run(capsys, "denoise", path, tmp_path / "local.wav", "--prior", prior)
    assert np.array_equal(*(soundfile.read(tmp_path / n)[0] for n in ("out.wav", "local.wav")))


def test_a_new_commit_does_a_folder_again(hosted, files, wav, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    wav("in/a.wav")
    args = ["denoise", tmp_path / "in", tmp_path / "out", "--prior", "hf://owner/prior"]
    hosted.add("prior", files)
    assert run(capsys, *args)[0] == 0
    assert "finished already" in run(capsys, *args)[1].out
    hosted.add("prior", {"README.md": b"new"})
    assert "other options (prior)" in run(capsys, *args)[1].out


def test_enhancers_and_separators_come_from_a_hub(hosted, wav, tmp_path, capsys):
    card = {"network": "ConvTasNet", "prediction": "sources", "open_levels": False, "sources": 2,
            "config": dict(N=16, L=16, B=8, H=16, Sc=8, X=2, R=1), "sample_rate": 16000}
    network = hub.build_network(card["network"], card["config"])
    commit = hosted.add("tasnet", {remote.WEIGHTS: save(network.state_dict()),
                                   remote.CARD: json.dumps(card).encode()})
    separator = Separator.from_pretrained("owner/tasnet", "separate", "conv-tasnet", device="cpu")
    assert separator.entry["weights"] == f"hf://owner/tasnet@{commit}"
    assert separator(voice()[0], 16000).shape == (2, 32000)
    code, text = run(capsys, "enhance", wav(), tmp_path / "out.wav", "--weights",
                     "hf://owner/tasnet")
    assert code == 2 and text.err.count("\n") == 1 and "enhance take it as --weights" in text.err


def test_pushed_weights_come_back_to_the_byte(hosted, monkeypatch, prior):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    name = push_to_hub(prior, "owner/new")
    back = hub.find_prior(name)
    assert re.fullmatch("hf://owner/new@[0-9a-f]{40}", name) and remote.origin(back) == name
    assert back.read_bytes() == prior.read_bytes()
    assert hub.read_card(back) == hub.read_card(prior)
    tree = hosted.repositories["owner/new"].commits[name[-40:]]
    assert set(tree) == {".gitattributes", "README.md", remote.WEIGHTS, remote.CARD}


def test_push_says_how_to_use_it(hosted, monkeypatch, prior, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    code, text = run(capsys, "push", prior, "owner/new", "--private")
    commit = hosted.repositories["owner/new"].refs["main"]
    assert code == 0 and f"use it as hf://owner/new@{commit}" in text.out


@pytest.mark.parametrize("token, repo, told", [
    (None, "owner/new", "hf auth login"), ("hf_wrong", "owner/new", "another token"),
    (TOKEN, "stranger/new", "another token"), (TOKEN, "new", "OWNER/NAME")])
def test_a_push_that_may_not_be_is_one_line(hosted, monkeypatch, prior, capsys, token, repo, told):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    code, text = run(capsys, "push", prior, repo)
    assert code == 2 and text.err.count("\n") == 1 and told in text.err
    assert f"hf://{repo}: " in text.err and not hosted.repositories


def test_only_weights_that_load_are_pushed(hosted, monkeypatch, prior, tmp_path, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (tmp_path / "bad.safetensors").write_bytes(save({"other": torch.zeros(2)}))
    (tmp_path / "bad.json").write_bytes(prior.with_suffix(".json").read_bytes())
    code, text = run(capsys, "push", tmp_path / "bad.safetensors", "owner/new")
    assert code == 2 and "do not fit their card" in text.err and not hosted.requests


def test_a_push_offline_is_one_line(hosted, monkeypatch, prior, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    offline(monkeypatch)
    code, text = run(capsys, "push", prior, "owner/new")
    assert code == 2 and text.err.count("\n") == 1 and "cannot be reached" in text.err


@pytest.mark.parametrize("path", sorted(hub.WEIGHTS.glob("*.safetensors")), ids=lambda p: p.stem)
def test_the_page_has_the_figures_of_the_card(path):
    card = hub.read_card(path)
    _, head, body = publish.page(card, path, "owner/name").split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["license"] == "apache-2.0" and told["library_name"] == "voxmend"
    figures = {metric["value"] for model in told.get("model-index", [])
               for result in model["results"] for metric in result["metrics"]}
    expected = {value for key in ("validation_gain_db", "validation_equal_error_rate_percent")
                for value in card.get(key, {}).values()}
    assert expected <= figures and bool(expected) == bool(figures)
    assert all(f"{value:g} |" in body for value in figures) and "hf://owner/name" in body


@pytest.mark.parametrize("network, module, package", [
    ("mynet:Tiny", "mynet", "mynet"), ("mynet.small:Tiny", "mynet.small", "mynet"),
    ("Registered", "theirs.nets", "theirs")])
def test_the_page_says_what_a_network_of_one_s_own_takes(prior, monkeypatch, network, module,
                                                         package):
    theirs = type("Registered", (torch.nn.Module,), {"__module__": "theirs.nets"})
    monkeypatch.setitem(networks._registered, "Registered", theirs)
    card = hub.read_card(prior)
    told = publish.page(card | {"network": network}, prior, "me/x")
    line = "voxmend mend IN OUT --prior hf://me/x\n"
    assert f"\nVOXMEND_NETWORKS={module} {line}" in told
    assert f"of the package `{package}`, which has to be installed" in told
    ours = publish.page(card, prior, "me/x")
    assert f"\n{line}" in ours and "VOXMEND_NETWORKS" not in ours


def test_an_unknown_licence_is_told_as_such(prior):
    card = hub.read_card(prior) | {"licence": "that of the checkpoint"}
    told = yaml.safe_load(publish.page(card, prior, "owner/name").split("---\n")[1])
    assert told["license"] == "other" and told["license_name"] == "that of the checkpoint"


@pytest.mark.parametrize("args", [["denoise", "IN", "out.wav", "--prior", "hf://owner/prior"],
                                  ["push", "speech16k", "owner/new"]])
def test_without_the_package_a_line_says_how_to_get_it(args, monkeypatch, wav, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, text = run(capsys, *[wav() if arg == "IN" else arg for arg in args])
    assert code == 2 and text.err.count("\n") == 1
    assert "pip install 'voxmend[hub]'" in text.err
