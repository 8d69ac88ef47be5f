"""Classical methods that the diffusion prior is compared with: one method, one file."""

from .declip import ar_declip, cubic_declip
from .griffin_lim import griffin_lim, mel_griffin_lim
from .interpolation import ar_interpolate, cubic_interpolate
from .log_mmse import log_mmse_denoise
from .mirror import spectral_mirror
from .spade import a_spade, s_spade
from .wiener import wiener_denoise

__all__ = ["a_spade", "ar_declip", "ar_interpolate", "cubic_declip", "cubic_interpolate",
           "griffin_lim", "log_mmse_denoise", "mel_griffin_lim", "s_spade",
           "spectral_mirror", "wiener_denoise"]
