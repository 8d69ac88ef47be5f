"""UnDiff's networks against outputs of its public code, and the import of its checkpoints."""

import json
import os
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from helpers.speech import voice
from voxmend.cli import main as cli
from voxmend.diffusion.chunked import ChunkedDenoiser
from voxmend.diffusion.denoiser import EDMDenoiser, EpsilonDenoiser
from voxmend.diffusion.schedules import linear_betas
from voxmend.dsp import degrade
from voxmend.models import hub
from voxmend.models.importers import import_undiff, read_checkpoint
from voxmend.models.macs import macs_per_second
from voxmend.models.pickled import CheckpointError
from voxmend.networks.diffwave import DiffWave
from voxmend.networks.ffc_ae import FFCAE

KINDS = {"diffwave": {"dilation_cycle": 3}, "ffc_ae": {}}


class Vectors:
    """The parity file of a network: the release's weights, inputs and outputs."""

    def __init__(self, kind):
        tensors = load_file(Path(__file__).parents[1] / "data" / f"undiff_{kind}_small.safetensors")
        self.kind, self.config = kind, KINDS[kind]
        self.weights = {k.removeprefix("weights/"): t for k, t in tensors.items()
                        if k.startswith("weights/")}
        self.x, self.beta, self.epsilon = (tensors[k] for k in ("in/x", "in/beta", "out/eps"))
        if kind == "ffc_ae":
            self.odd = tuple(tensors[k] for k in ("in/x_8000", "in/beta_8000", "out/eps_8000"))

    def prior(self, folder, checkpoint=None, **options):
        """Imports a checkpoint, by default one as the release writes it; the prior's path."""
        path = folder / f"{self.kind}.ckpt"
        torch.save(self.lightning() if checkpoint is None else checkpoint, path)
        out = folder / f"{self.kind}.safetensors"
        import_undiff(path, out, **options, **self.config)
        return out

    def lightning(self):
        return {"epoch": 3, "state_dict": {f"net.{k}": t for k, t in self.weights.items()}}


@pytest.fixture(scope="module", params=KINDS)
def vectors(request):
    return Vectors(request.param)


@pytest.fixture(scope="module")
def prior(vectors, tmp_path_factory):
    return vectors.prior(tmp_path_factory.mktemp("undiff"))


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def test_imported_network_computes_what_the_release_does(vectors, prior):
    denoiser = hub.load_prior(prior)
    assert isinstance(denoiser, EpsilonDenoiser)
    assert relative(denoiser.network(vectors.x, vectors.beta), vectors.epsilon) < 1e-5
    if vectors.kind == "ffc_ae":
        x, beta, epsilon = vectors.odd
        assert relative(denoiser.network(x, beta), epsilon) < 1e-5


def test_denoiser_tells_the_network_its_own_beta(vectors, prior):
    """At σ of step t the denoiser is x − σε with the release's ε for β of step t."""
    betas = linear_betas(200)
    step = [20, 150][:len(vectors.beta)]
    torch.testing.assert_close(betas[step].float(), vectors.beta)
    alpha_bar = torch.cumprod(1 - betas, 0)[step].float()
    sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
    x = vectors.x / alpha_bar.sqrt().view(-1, 1, 1)
    denoised = hub.load_prior(prior)(x, sigma)
    assert relative((x - denoised) / sigma.view(-1, 1, 1), vectors.epsilon) < 1e-4


@pytest.mark.parametrize("network, config, parameters, entries", [
    (DiffWave, {}, 32_307_201, 395), (FFCAE, {}, 55_335_936, 1032),
    (DiffWave, DiffWave.PRESETS["original"], 24_034_305, 227)])
def test_published_sizes(network, config, parameters, entries):
    with torch.device("meta"):
        built = network(**config)
    assert sum(p.numel() for p in built.parameters()) == parameters
    assert len(built.state_dict()) == entries


def test_published_costs():
    """UnDiff's networks need 404 and 407 GMAC/s, the latter on 8192 samples (34 frames)."""
    with torch.device("meta"):
        networks = DiffWave(), FFCAE()
    assert macs_per_second(networks[0]) == pytest.approx(404e9, rel=2e-3)
    assert macs_per_second(networks[1], seconds=8192 / 16000) == pytest.approx(407e9, rel=2e-3)


def test_macs_of_one_convolution():
    """A kernel of 5 from 1 to 3 channels and back makes 30 products per sample."""
    network = torch.nn.Sequential(torch.nn.Conv1d(1, 3, 5, padding=2),
                                  torch.nn.Conv1d(3, 1, 5, padding=2)).to("meta")
    network.forward = lambda x, noise: network[1](network[0](x))
    assert macs_per_second(network, 8000) == 30 * 8000


@pytest.mark.parametrize("samples", [1, 300, 513, 1025, 5000])
def test_any_length(vectors, prior, samples):
    network = hub.load_prior(prior).network
    epsilon = network(torch.randn(2, 1, samples), torch.tensor([1e-4, 0.02]))
    assert epsilon.shape == (2, 1, samples) and epsilon.isfinite().all()


def test_gradients_reach_input_and_every_weight(vectors, prior):
    network = hub.load_prior(prior).network.train().requires_grad_(True)
    x = torch.randn(2, 1, 4096, requires_grad=True)
    network(x, vectors.beta).square().mean().backward()
    assert (x.grad.abs().sum(-1) > 0).all()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def kept_bytes(network, x, beta):
    """Size of what autograd keeps of a call, and the call's result."""
    kept = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.numel() * t.element_size()) or t, lambda t: t)
    with hooks:
        epsilon = network(x, beta)
    return sum(kept), epsilon


def test_guidance_gradients_are_exact_and_keep_little(vectors, prior):
    """The gradient that guidance takes, against a difference quotient in float64."""
    network = hub.load_prior(prior).network.double()
    x, beta = vectors.x[:1].double().requires_grad_(True), vectors.beta[:1].double()
    kept, epsilon = kept_bytes(network, x, beta)
    gradient, = torch.autograd.grad(epsilon.square().sum(), x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        up, down = (network(x + step * direction, beta).square().sum() for step in (1e-6, -1e-6))
    assert (gradient * direction).sum().item() == pytest.approx((up - down).item() / 2e-6, rel=1e-4)
    for module in network.modules():  # training mode without its batch statistics
        module.training = not isinstance(module, torch.nn.BatchNorm2d)
    everything, same = kept_bytes(network, x, beta)
    assert relative(same, epsilon) < 1e-12 and kept < everything / 2


@pytest.mark.parametrize("name", ["DiffWave", "FFCAE"])
def test_a_new_network_starts_from_zero_and_learns(name):
    torch.manual_seed(0)
    depth = "layers" if name == "DiffWave" else "blocks"
    network = hub.build_network(name, {"channels": 16, depth: 2})
    noise, beta = torch.randn(2, 1, 2048), torch.full((2,), 0.01)
    assert not network(noise, beta).any()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(20):
        loss = (network(noise, beta) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.8


def test_chunks_change_nothing():
    """Where the reach in time is finite, so says `receptive_field`; with squeezing it is not."""
    torch.manual_seed(0)
    networks = (DiffWave(6, 8, dilation_cycle=3, reduction=None), FFCAE(4, 2))
    for network in networks:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        denoiser = EpsilonDenoiser(network.eval(), linear_betas(200)).requires_grad_(False)
        chunked = ChunkedDenoiser(denoiser, seconds=0.5)
        x = torch.randn(1, 1, 40000)
        assert relative(chunked(x, 0.5), denoiser(x, 0.5)) < 1e-5
        nearer = EpsilonDenoiser(network, linear_betas(200))
        nearer.receptive_field = denoiser.receptive_field // 4
        assert relative(ChunkedDenoiser(nearer, seconds=0.5)(x, 0.5), denoiser(x, 0.5)) > 1e-4
    assert EpsilonDenoiser(DiffWave(2, 16), linear_betas(200)).receptive_field is None


def test_save_and_load_keep_buffers_and_precision(vectors, prior, tmp_path):
    stored = load_file(prior)
    assert all(stored[n].dtype == t.dtype for n, t in hub.load_prior(prior).network.state_dict()
               .items())
    halved = {n: t.half() if t.is_floating_point() else t for n, t in stored.items()}
    hub.save_prior(tmp_path / "half.safetensors", halved, hub.read_card(prior))
    half = hub.load_prior(tmp_path / "half.safetensors").network
    error = relative(half(vectors.x, vectors.beta), vectors.epsilon)
    assert 1e-4 < error < 0.1  # random weights feel it more than trained ones
    stored.pop("embedding.rff.gaussian")
    hub.save_prior(tmp_path / "less.safetensors", stored, hub.read_card(prior))
    with pytest.raises(hub.PriorError, match="less.safetensors: .*embedding.rff.gaussian"):
        hub.load_prior(tmp_path / "less.safetensors")


def test_bundled_prior_is_still_an_edm_denoiser():
    assert isinstance(hub.load_prior(), EDMDenoiser)


def test_averages_replace_parameters_only(vectors, tmp_path):
    checkpoint = vectors.lightning()
    buffers = ("gaussian", "running_mean", "running_var", "num_batches_tracked")
    truth = [t for k, t in vectors.weights.items() if not k.endswith(buffers)]
    checkpoint["ema_params"] = [truth]
    checkpoint["state_dict"] = {k: t if k.endswith(buffers) else torch.zeros_like(t)
                                for k, t in checkpoint["state_dict"].items()}
    network = hub.load_prior(vectors.prior(tmp_path, checkpoint, ema=True)).network
    assert relative(network(vectors.x, vectors.beta), vectors.epsilon) < 1e-5
    with pytest.raises(CheckpointError, match="0 averages"):
        vectors.prior(tmp_path, vectors.lightning(), ema=True, overwrite=True)


def test_bare_state_dict(vectors, tmp_path):
    network = hub.load_prior(vectors.prior(tmp_path, vectors.weights)).network
    assert relative(network(vectors.x, vectors.beta), vectors.epsilon) < 1e-5


def test_import_and_declip_on_the_command_line(vectors, prior, wav, tmp_path, capsys):
    checkpoint = tmp_path / "download.ckpt"
    torch.save(vectors.lightning(), checkpoint)
    assert cli.main(["import", "undiff", str(checkpoint)]) == 0
    made = tmp_path / "download.safetensors"
    text = capsys.readouterr().out
    assert f"--prior {made}" in text and "GMAC" in text
    source, out = wav("in.wav", degrade.clip(voice(0.5), 0.1)), tmp_path / "out.wav"
    assert cli.main(["declip", str(source), str(out), "--prior", str(made), "--steps", "2",
                     "--device", "cpu"]) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "out.wav.voxmend.json").read_text())["prior"] == made.stem
    assert cli.main(["info", str(made)]) == 0
    assert "prediction: epsilon" in capsys.readouterr().out
    assert cli.main(["import", "undiff", str(checkpoint)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_info_lists_networks(capsys):
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    assert "DiffWave paper: 32.31 M parameters, 404 GMAC" in text and "FFCAE small" in text
    assert "NCSNpp paper: 65.62 M parameters, 134 GMAC" in text
    assert "ScoreTasNet diffsep: 1.67 M parameters, 1.22 GMAC" in text


class AttributeDict(dict):
    """As training frameworks pickle their options."""


def test_foreign_objects_are_replaced_unseen(vectors, tmp_path, monkeypatch):
    """Classes of a module that is gone when the checkpoint is read, as omegaconf may be."""
    module = types.ModuleType("voxmend_gone")
    for name, base in (("Config", object), ("Options", AttributeDict), ("Kind", object)):
        setattr(module, name, type(name, (base,), {"__module__": "voxmend_gone"}))
    module.Config.__init__ = lambda self: self.__dict__.update(_content={"a": module.Kind})
    monkeypatch.setitem(sys.modules, "voxmend_gone", module)
    options = module.Options(lr=1e-4)
    options.config = module.Config()
    checkpoint = vectors.lightning() | {"hyper_parameters": options, "cfg": module.Config(),
                                        "where": Path("x")}
    path = tmp_path / "c.ckpt"
    torch.save(checkpoint, path)
    monkeypatch.delitem(sys.modules, "voxmend_gone")
    allowed = torch.serialization.get_safe_globals()
    assert read_checkpoint(path)["epoch"] == 3
    assert set(torch.serialization.get_safe_globals()) == set(allowed)
    network = hub.load_prior(_import(vectors, path)).network
    assert relative(network(vectors.x, vectors.beta), vectors.epsilon) < 1e-5


def _import(vectors, path):
    out = path.with_suffix(".safetensors")
    import_undiff(path, out, **vectors.config)
    return out


class Attack:
    def __init__(self, function, argument):
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.system, eval], ids=["system", "eval"])
def test_code_in_a_checkpoint_is_never_run(function, vectors, tmp_path):
    trace = tmp_path / "trace"
    payload = {os.system: f"touch {trace}", eval: f"open({str(trace)!r}, 'w')"}[function]
    path = tmp_path / "bad.ckpt"
    torch.save(vectors.lightning() | {"callbacks": Attack(function, payload)}, path)
    if function is os.system:
        with pytest.raises(CheckpointError, match=r"bad.ckpt: not read, since it asks for \w+"
                                                  r"\.system; nothing in it was run"):
            read_checkpoint(path)
    else:
        assert not read_checkpoint(path)["callbacks"].__dict__  # an empty placeholder
    assert not trace.exists()


def broken(state):
    """Faults of a state dict and a word that the message must have."""
    first, second = next(iter(state)), next(reversed(state))
    other = next(k for k in state if k.endswith("proj2.weight"))
    yield {}, "neither"
    yield {"state_dict": 3}, "neither"
    yield {k: t for k, t in state.items() if k != other}, "lacks embedding.proj2.weight"
    yield state | {other: torch.zeros(3, 4)}, r"embedding.proj2.weight has shape \[3, 4\]"
    yield state | {"extra.weight": torch.zeros(1)}, "extra.weight"
    yield {k: torch.zeros(0) for k in state}, "shapes"
    yield [first, second], "neither"


def test_bad_checkpoints_are_one_line(vectors, tmp_path, capsys):
    path, out = tmp_path / "bad.ckpt", tmp_path / "bad.safetensors"

    def fails(word, *options):
        with pytest.raises((ValueError, OSError), match=word) as caught:
            import_undiff(path, out, *options)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
        assert not out.exists()

    fails("No such file")
    path.write_text("this is text")
    fails("no checkpoint")
    torch.save(vectors.weights, path)
    path.write_bytes(path.read_bytes()[:-2000])
    fails("no checkpoint")
    for checkpoint, word in broken(vectors.weights):
        torch.save(checkpoint, path)
        fails(word)
    out.with_suffix(".json").write_text("mine")
    fails("exists already")
    with pytest.raises(ValueError, match=".safetensors"):
        import_undiff(path, tmp_path / "prior.pt")
