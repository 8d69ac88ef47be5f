"""Priors that listen: denoisers that are told the recording, D(x, σ; y) ≈ E[x₀ | x₀ + σn = x, y].

Guidance steers a prior from outside; a prior that listens has learnt the posterior's denoiser and
starts there. Told nothing, the same weights are a plain prior. One kind is told noisy recordings as
they are (`ToldDenoiser`), the other what a classical method makes of them (`GuessDenoiser`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..operators import Evidence
from .chunked import NoiseStream
from .denoiser import EDMDenoiser, Wrapper, per_channel
from .samplers import Denoise
from .speeds import at_speed, brought_back, energy_mean, marks_at_speed


class ToldDenoiser(EDMDenoiser):
    """An EDM denoiser whose network hears the recording beside the noisy signal.

    D(x, σ; y) = c_skip·x + c_out·F((c_in·x, y/σ_d), ln σ/4), by `edm_coefficients`.

    Args:
        network: of two signals in and one out, as in `EDMDenoiser`.

    Shape: as `Denoiser`; the recording as x.
    """

    def forward(self, x: Tensor, sigma: Tensor | float, recording: Tensor | None = None) -> Tensor:
        flat, sigma = per_channel(x, sigma)
        heard = torch.zeros_like(flat) if recording is None else recording.reshape(flat.shape)
        c_skip, c_out, c_in = self.coefficients(sigma)
        out = self.network(torch.cat([c_in * flat, heard / self.sigma_data], 1),
                           sigma.flatten().log() / 4)
        return (c_skip * flat + c_out * out.float()).reshape(x.shape)

    def told(self, recording: Tensor) -> Denoise:
        """The posterior's denoiser (x, σ) ↦ D(x, σ; y), which every sampler takes."""
        return lambda x, sigma: self(x, sigma, recording)

    def posterior_mean(self, recording: Tensor, noise: Tensor) -> Tensor:
        """E[x₀ | y] in one call at σ_max.

        There the noisy signal y + σ_max·noise says nothing that the recording does not.

        Shape: all alike.
        """
        return self(recording + self.sigma_max * noise, self.sigma_max, recording)


class GuessDenoiser(EDMDenoiser):
    """An EDM denoiser that is told a first guess g of the signal, and what it is worth.

    D(x, σ; g) = c_skip·x + (1 − c_skip)·g + c_out·F((c_in·x, g/σ_d), ln σ/4; marks), with the
    coefficients of `edm_coefficients`: the first two terms are the posterior mean under a Gaussian
    prior of RMS σ_d around g, so that a network that says nothing gives back the guess at large σ.
    Told nothing, g = 0 and it is the plain prior.

    Args:
        network: of two signals in, two `marks` and one signal out (`Evidence`).

    Shape: as `Denoiser`.
    """

    def forward(self, x: Tensor, sigma: Tensor | float,
                evidence: Evidence | None = None) -> Tensor:
        flat, sigma = per_channel(x, sigma)
        guess, marks = torch.zeros_like(flat), None
        if evidence is not None:
            guess = evidence.guess.reshape(flat.shape)
            marks = evidence.marks.flatten(0, 1)
        c_skip, c_out, c_in = self.coefficients(sigma)
        out = self.network(torch.cat([c_in * flat, guess / self.sigma_data], 1),
                           sigma.flatten().log() / 4, marks)
        mean = c_skip * flat + (1 - c_skip) * guess
        return (mean + c_out * out.float()).reshape(x.shape)

    def told(self, evidence: Evidence, speeds: Sequence[float] = (1.0,)) -> "Posterior":
        """The posterior's denoiser (x, σ) ↦ D(x, σ; g), for any guidance and sampler.

        Args:
            speeds: of the guess, as in `Posterior`.
        """
        return Posterior(self, evidence, speeds)


class Posterior(Wrapper):
    """The denoiser of a posterior: a prior that is told the same with every call.

    Where its correction of the guess has a weight (`Evidence`), it counts that much.

    Args:
        speeds: at which the prior hears the guess where noise hides all else, at σ_max; there the
            denoiser is the `energy_mean` of what it makes of it at each. The first is 1, and no
            other under 0.5; what resampling takes away, as near half the sample rate, is the
            first's.
    """

    def __init__(self, denoiser: GuessDenoiser, evidence: Evidence,
                 speeds: Sequence[float] = (1.0,)):
        super().__init__(denoiser)
        self.evidence, self.speeds = evidence, speeds

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        found = self.denoiser(x, sigma, self.evidence)
        if len(self.speeds) == 1 or torch.as_tensor(sigma).min() < 0.999 * self.sigma_max:
            return self.evidence.corrected(found)
        noise, others = x - self.evidence.guess, [found]
        for speed in self.speeds[1:]:
            there = brought_back(at_speed(found, speed), speed, x.shape[-1])
            others.append(found - there + self._heard(noise, sigma, speed))
        return self.evidence.corrected(energy_mean(torch.stack(others)))

    def _heard(self, noise: Tensor, sigma: Tensor | float, speed: float) -> Tensor:
        """What the prior makes of the guess at a speed, brought back, under as much noise."""
        guess = at_speed(self.evidence.guess, speed)
        evidence = Evidence(guess, marks_at_speed(self.evidence.marks, speed))
        lasting = torch.cat([noise, -noise], -1)[..., :guess.shape[-1]]  # white as well
        return brought_back(self.denoiser(guess + lasting, sigma, evidence), speed,
                            noise.shape[-1])


class Listener(nn.Module):
    """A prior that listens to noisy recordings, as a network that parts them into speech and rest.

    Args:
        seed: of the noise, which belongs to positions and is the same in all channels.

    Shape: recordings `[B, 1, T]` of about unit variance, whose first sample is sample `start`, of
    all or of each, to `[B, 2, T]`.
    """

    def __init__(self, prior: ToldDenoiser, seed: int = 0):
        super().__init__()
        self.prior, self.seed = prior, seed

    def forward(self, mixture: Tensor, start: int | Sequence[int] = 0) -> Tensor:
        level = self.prior.sigma_data
        noise = NoiseStream([self.seed] * len(mixture), start)(mixture)
        speech = self.prior.posterior_mean(level * mixture, noise) / level
        return torch.cat([speech, mixture - speech], 1)
