"""Classical methods that the diffusion prior is compared with: one method, one file."""

from .declick import declick
from .declip import ar_declip, cubic_declip
from .griffin_lim import griffin_lim, mel_griffin_lim
from .hum import dehum
from .interpolation import ar_interpolate, cubic_interpolate
from .log_mmse import log_mmse_denoise
from .mirror import spectral_mirror
from .noise_floor import floor_denoise
from .pitch import pitch_interpolate
from .spade import a_spade, s_spade
from .upper_band import part_upper_band
from .wiener import wiener_denoise

__all__ = ["a_spade", "ar_declip", "ar_interpolate", "cubic_declip", "cubic_interpolate",
           "declick", "dehum", "floor_denoise", "griffin_lim", "log_mmse_denoise",
           "mel_griffin_lim", "part_upper_band", "pitch_interpolate", "s_spade", "spectral_mirror",
           "wiener_denoise"]
