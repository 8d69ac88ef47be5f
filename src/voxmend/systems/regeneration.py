"""Recipe of a DiffSep that corrects a separator (`score_models.RegenerationModel`)."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..diffusion.denoiser import edm_coefficients
from ..diffusion.processes import MixingSDE
from ..models import hub
from ..models.precision import choose
from ..training.listening import spectral_error
from ..training.pool import Draws
from ..training.recipes import Model, Source, fresh_network, muon_and_adamw
from .conv_tasnet import load_separator
from .diffsep import DiffSepRecipe
from .frame_separator import FrameSeparationRecipe
from .hearing import heard_as, hearing, in_order_of
from .score_models import RegenerationModel


@dataclass
class RegenerationRecipe(FrameSeparationRecipe, DiffSepRecipe):
    """How to train DiffSep to correct a separator of two voices, whose rest is a third source.

    Mixtures are the separator's own, heard as its card says; the voices are in the order of its
    estimates. Loss: the mean over voices of ln(e + ε) + λ ln(s + ε), e the squared error over
    c_out² and s that of compressed spectra, as in `ListeningRecipe`; with the probability
    `mismatch` where sampling starts, t = 1 and x̄_T, else at t uniform in t_min…1.

    Args:
        separator: by name or path.
        error_rms: as in `RegenerationModel`.
        spectral, floor: λ and ε.
    """

    network: str = "FrameConvNeXt"
    prediction: str = "regeneration"
    process: dict = field(default_factory=lambda: {
        "sources": 3, "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5})
    separator: str = "frame_separator"
    error_rms: float = 0.2
    mismatch: float = 0.5
    spectral: float = 1.0
    easy: int = 0

    use: ClassVar[str] = "voxmend separate --method diffsep --weights"

    @property
    def sources(self) -> int:
        return self.process["sources"] - 1

    def build(self) -> nn.Module:
        return fresh_network(self)

    def describe(self) -> dict:
        path = hub.find_prior(self.separator)
        return {"prediction": self.prediction, "task": self.task, "sources": self.sources,
                "process": self.process, "error_rms": self.error_rms, "separator": path.stem,
                "separator_sha256": hub.file_hash(path)}

    @cached_property
    def _separator(self) -> nn.Module:
        separator = load_separator(hub.find_prior(self.separator))
        choose(separator, "auto")
        return separator

    @cached_property
    def _hearing(self) -> dict:
        return hearing(hub.read_card(hub.find_prior(self.separator)))

    def _model(self, network: nn.Module) -> RegenerationModel:
        separator = self._separator.to(next(network.parameters()).device)
        return RegenerationModel(network, MixingSDE(**self.process), self.sample_rate, separator,
                                 self.error_rms, self._hearing)

    def prepare(self, corpus: Source, device: torch.device) -> Source:
        """What `examples` are cut from, and the separator that hears them."""
        return super().prepare(corpus, device), self._separator.to(device)

    @torch.no_grad()
    def examples(self, source: Source, step: int) -> tuple[Tensor, ...]:
        """Sources and the separator's estimates of them, times, which start, and noise of a step.

        Shape: `[B, 3, T]`, times and starts `[B]`.
        """
        pools, separator = source
        parts = self._normal(super().examples(pools, step)[0])
        mixture = parts.sum(1, keepdim=True)
        voices = heard_as(separator, **self._hearing)(mixture).float()
        guess = torch.cat([voices, mixture - voices.sum(1, keepdim=True)], 1)
        parts = torch.cat([in_order_of(parts[:, :2], voices), parts[:, 2:]], 1)
        draws = Draws(self.batch, parts.device, self.seed, step, 1)
        place = draws.stratified()
        starts = draws.chance(self.mismatch)
        t = torch.where(starts, 1.0, self.t_min + (1 - self.t_min) * place)
        return parts, guess, t[:, 0], starts[:, 0], draws.normal(*parts.shape[1:])

    def loss(self, network: Model, *batch: Tensor) -> Tensor:
        parts, guess, t, starts, z = batch
        model = self._model(network)
        sigma = model.process.sigmas(t)
        clean = model.process.components(parts, 0.0)
        v = clean * ~starts[:, None, None] + sigma[..., None] * z
        found = model.process.stack(model.regenerate(model.process, guess)(v, sigma), 0.0)
        pairs = torch.stack([found, parts], 2)[:, :model.voices]
        scale = edm_coefficients(sigma[:, 1:2], self.error_rms)[1]
        error = ((pairs[:, :, 0] - pairs[:, :, 1]) / scale[..., None]).square().mean(-1)
        apart = spectral_error(pairs.flatten(0, 1)).view_as(error)
        return ((error + self.floor).log() + self.spectral * (apart + self.floor).log()).mean()

    def validate(self, network: Model, voices: Tensor) -> dict[str, float]:
        return super().validate(self._model(network), voices)

    def optimizers(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        return muon_and_adamw(network, self.muon, self.learning_rate, self.weight_decay)
