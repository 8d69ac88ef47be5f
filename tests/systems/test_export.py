"""Networks as ONNX: run by onnxruntime, of any length and number, they are what they are here."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from helpers.speech import CONFIG, voice
from voxmend.audio import AudioError
from voxmend.cli import main as cli
from voxmend.models import export, hub
from voxmend.models.export import ExportError, Function, error_of, write_onnx
from voxmend.systems import segan
from voxmend.systems.export import function_of

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TASNET = dict(N=16, L=16, B=8, H=16, Sc=8, X=2, R=1)
EDM = {"sigma_min": 0.002, "sigma_max": 2.0, "sigma_data": 0.1}
PROCESS = {"sources": 2, "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5}
BETAS = {"schedule": "linear", "steps": 20, "start": 1e-3, "end": 0.1}
SMALL = {  # network, config, rest of the card
    "prior": ("FrameConvNeXt", CONFIG, EDM),
    "listening prior": ("FrameConvNeXt", {**CONFIG, "inputs": 2, "log_magnitude": True},
                        {"prediction": "told", **EDM}),
    "correcting prior": ("FrameConvNeXt", {**CONFIG, "inputs": 2, "marks": 2},
                         {"prediction": "guess", **EDM}),
    "ε-prior": ("DiffWave", dict(layers=2, channels=8, dilation_cycle=2),
                {"prediction": "epsilon", "sigma_data": 0.1, "betas": BETAS}),
    "separator": ("ConvTasNet", TASNET, {"prediction": "sources", "open_levels": False}),
    "causal separator": ("ConvTasNet", {**TASNET, "causal": True}, {"prediction": "sources"}),
    "frame separator": ("FrameSeparator", dict(channels=64, blocks=2, kernel=3, dilations=[1]),
                        {"prediction": "sources", "open_levels": False}),
    "SEGAN": ("SEGAN", dict(channels=(4, 8)), {"prediction": "speech"}),
    "ECAPA": ("ECAPATDNN", dict(mels=20, channels=16, mixed=24, attention=8, squeeze=8, scale=4,
                                dim=8), {"prediction": "embedding", "dim": 8}),
    "x-vector": ("XVector", dict(mels=20, channels=16, mixed=24, dim=8),
                 {"prediction": "embedding", "dim": 8}),
    "light DiffSep": ("ScoreTasNet", TASNET, {"prediction": "differences", "process": PROCESS}),
    "prior of spectra": ("DDPMUNet", dict(channels=8, multiples=(1, 2), blocks=1, attention=(2,),
                                          heads=2, groups=4, n_fft=32, compression=0.5),
                         {"prediction": "spectrogram", "betas": BETAS, "sigma_data": 1.0})}


def small(folder, network, config, card):
    torch.manual_seed(0)
    built = hub.build_network(network, config)
    for parameter in built.parameters():
        if not parameter.any():  # a layer that begins with nothing would hide what is before it
            torch.nn.init.normal_(parameter, std=0.05)
    path = folder / "small.safetensors"
    hub.save_prior(path, built.state_dict(), {"network": network, "config": config,
                                              "sample_rate": 16000, **card})
    return str(path)


@pytest.mark.parametrize("name", SMALL)
def test_small_networks(name, tmp_path):
    function = function_of(small(tmp_path, *SMALL[name]))
    error = write_onnx(name, function, tmp_path / "small.onnx")
    assert error == error_of(function, tmp_path / "small.onnx") < export.TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
    assert [given.name for given in session.get_inputs()] == [*function.inputs]
    assert [given.shape for given in session.get_inputs()] == [*map(list, function.inputs.values())]
    assert [found.name for found in session.get_outputs()] == [function.output]
    silent = [torch.zeros_like(x) if x.ndim == 3 else x for x in function.example(export.TRACED)]
    with torch.no_grad():
        expected = function.module(*silent)
    (found,) = session.run(None, {name: x.numpy() for name, x in
                                  zip(function.inputs, silent, strict=True)})
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    told = json.loads(session.get_modelmeta().custom_metadata_map["voxmend"])
    assert told["sample_rate"] == 16000


def test_the_bundled_segan_is_the_enhancer_between_its_emphases(tmp_path):
    """Against the recursive inverse of pre-emphasis, which ONNX lacks."""
    write_onnx("segan", function_of("segan"), tmp_path / "segan.onnx")
    recording = torch.from_numpy(0.1 * voice(1.0)[None] / voice(1.0).std())
    (found,) = onnxruntime.InferenceSession(tmp_path / "segan.onnx").run(
        None, {"recording": recording.numpy()})
    enhancer = segan.load_enhancer(hub.find_prior("segan"))
    with torch.no_grad():
        expected = enhancer(recording / segan.LEVEL)[:, :1].numpy() * segan.LEVEL
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fourier_transforms_are_those_of_torch():
    x = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    for n_fft, hop in ((64, 16), (400, 160)):
        window = torch.hann_window(n_fft)
        for pad_mode in ("constant", "reflect"):
            spectrum = torch.stft(x, n_fft, hop, window=window, pad_mode=pad_mode,
                                  return_complex=True)
            pair = export._stft(x, n_fft, hop, window=window, pad_mode=pad_mode)
            torch.testing.assert_close(torch.complex(pair.real, pair.imag), spectrum, rtol=1e-4,
                                       atol=1e-4)
        other = torch.randn_like(spectrum)
        wave = torch.istft(other, n_fft, hop, window=window, length=960)
        found = export._istft(export.Pair(other.real, other.imag), n_fft, hop, window=window,
                              length=960)
        torch.testing.assert_close(found, wave, rtol=1e-3, atol=1e-4)


class Undecided(torch.nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Uneven(torch.nn.Module):
    """Says something else of signals that are longer than those it was traced with."""

    def forward(self, x):
        return x * (torch.arange(x.shape[-1]) < (16000 if torch.compiler.is_exporting() else 1e9))


class Spectral(torch.nn.Module):
    def forward(self, x):
        spectrum = torch.stft(x[:, 0], 64, 16, window=torch.ones(64), return_complex=True)
        return torch.fft.ifft(spectrum, dim=1)


@pytest.mark.parametrize("network, message", [
    (Spectral(), "mine: cannot be written as ONNX, since it has complex numbers in fft_ifft"),
    (Undecided(), "mine: cannot be written as ONNX"),
    (Uneven(), "mine: its ONNX differs by 1 of the largest value")])
def test_what_comes_out_otherwise_is_refused(network, message, tmp_path):
    function = Function(network, {"x": ("batch", 1, "samples")}, "y")
    with pytest.raises(ExportError, match=message) as error:
        write_onnx("mine", function, tmp_path / "out.onnx")
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_what_is_no_function_is_refused(tmp_path, capsys):
    assert cli.main(["export", "speakers704", str(tmp_path / "out.onnx")]) == 2
    assert "draws voices by a sampler" in capsys.readouterr().err
    assert cli.main(["export", "segan", str(tmp_path / "out.pt")]) == 2
    assert "ends in .onnx" in capsys.readouterr().err
    with pytest.raises(AudioError, match="exists already"):
        write_onnx("any", Function(Uneven(), {}, "y"), Path(__file__))


def test_every_bundled_network_has_a_row_of_the_table_or_is_refused():
    table = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    refused = []
    for name in sorted(path.stem for path in hub.WEIGHTS.glob("*.safetensors")):
        try:
            function_of(name)
        except ExportError:
            refused.append(name)
        assert (f"\n| `{name}` |" in table) == (name not in refused), name
    assert refused == ["speakers704"]


def test_the_example_enhances_a_file_without_torch(tmp_path):
    """Its segments are cross-faded: of a network that lets all pass, the recording comes out."""
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "enhance_onnx.py"))
    write_onnx("same", Function(torch.nn.Identity(), {"recording": ("batch", 1, "samples")},
                                "speech", {"sample_rate": 16000}), tmp_path / "same.onnx")
    wave = voice(25.0, channels=2).T
    soundfile.write(tmp_path / "in.wav", wave, 16000, subtype="FLOAT")
    example["main"](*(str(tmp_path / name) for name in ("same.onnx", "in.wav", "out.wav")))
    found, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == 16000
    np.testing.assert_allclose(found, wave, atol=1e-4)
    soundfile.write(tmp_path / "in.wav", wave, 8000)
    with pytest.raises(SystemExit, match="is at 8000 Hz and the network at 16000 Hz"):
        example["main"](*(str(tmp_path / name) for name in ("same.onnx", "in.wav", "out.wav")))
    assert "torch" not in (Path(__file__).parents[2] / "examples" / "enhance_onnx.py").read_text()
