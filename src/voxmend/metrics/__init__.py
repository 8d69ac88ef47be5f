"""What a restored signal is judged by: one metric, one file, one function of the same name.

| mapping | compares | function |
|---|---|---|
| `METRICS` | a clip with its original | `(estimate, reference, sample_rate) -> float` |
| `FIDELITY` | a clip with its original, by slower judges | as `METRICS` |
| `TRANSCRIPT` | a clip with what was said in it | `(estimate, text, sample_rate) -> float` |
| `QUALITY` | a clip with nothing | `(estimate, sample_rate) -> dict[str, float]` |
| `SEPARATION` | voices `[K, T]` with theirs | `(estimates, references, sample_rate) -> float` |
| `DISTRIBUTION` | a set of clips with another | `(estimates, references, sample_rate) -> float` |

Clips are mono 1-D arrays; sets are lists of clips, of any number and lengths.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any


class _Metrics(Mapping[str, Callable[..., Any]]):
    """Metrics by name; each is imported when it is first looked up."""

    def __init__(self, *names: str):
        self.names = names

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name not in self.names:
            raise KeyError(f"no metric {name!r}; there are {', '.join(self.names)}")
        return getattr(import_module(f"{__name__}.{name}"), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


METRICS = _Metrics("si_snr", "lsd", "estoi", "pesq_wb", "pesq_nb")
SEPARATION = _Metrics("swap_rate")
FIDELITY = _Metrics("si_sdr", "lsd_hann", "words_changed", "characters_changed",
                    "speaker_similarity")
TRANSCRIPT = _Metrics("wer", "cer")
QUALITY = _Metrics("dnsmos", "wvmos", "plcmos")
DISTRIBUTION = _Metrics("frechet_logmel", "fdsd")

# Titles of columns, and how many digits their figures have.
COLUMNS = {"dnsmos_sig": ("DNSMOS SIG", 2), "dnsmos_bak": ("DNSMOS BAK", 2),
           "dnsmos": ("DNSMOS OVRL", 2), "wvmos": ("WV-MOS", 2),
           "frechet_logmel": ("Fréchet log-mel", 2), "fdsd": ("FDSD", 2),
           "si_snr": ("SI-SNR dB", 2), "lsd": ("LSD", 3), "estoi": ("ESTOI", 3),
           "pesq_wb": ("PESQ-WB", 2), "pesq_nb": ("PESQ-NB", 2), "swap_rate": ("swap rate", 2),
           "si_sdr": ("SI-SDR dB", 2), "si_sdr_gain": ("SI-SDRi dB", 2),
           "lsd_hann": ("LSD 2048 dB", 2), "plcmos": ("PLCMOS", 2),
           "wer": ("WER", 3), "cer": ("CER", 3), "words_changed": ("words changed", 3),
           "characters_changed": ("characters changed", 3),
           "speaker_similarity": ("speaker similarity", 3),
           "speaker_similarity_ours": ("by our encoder", 3),
           "better": ("share of clips bettered", 2), "calls": ("calls", 0),
           "real_time_factor": ("real-time factor", 2)}
LOWER_IS_BETTER = {"frechet_logmel", "fdsd", "lsd", "lsd_hann", "swap_rate", "wer", "cer",
                   "words_changed", "characters_changed"}
COSTS = {"calls", "real_time_factor"}  # columns that judge nothing


def table(rows: list[dict], columns: dict[str, tuple[str, int]] = COLUMNS,
          spread: bool = False, bold: bool = False) -> list[str]:
    """Lines of a Markdown table of those columns that any row has; None becomes a dash.

    Args:
        spread: with `intervals` of the rows beside their figures.
        bold: the best figures of every column that is no cost in bold, as far as digits tell.
    """
    def cell(row: dict, key: str, digits: int) -> str:
        if row.get(key) is None:
            return "–"
        interval = row.get("intervals", {}).get(key) if spread else None
        beside = f" ({interval[0]:.{digits}f}…{interval[1]:.{digits}f})" if interval else ""
        figure = f"{row[key]:.{digits}f}"
        if bold and key not in COSTS:
            known = [other[key] for other in rows if other.get(key) is not None]
            best = min(known) if key in LOWER_IS_BETTER else max(known)
            figure = f"**{figure}**" if figure == f"{best:.{digits}f}" else figure
        return figure + beside

    used = {key: column for key, column in columns.items() if any(key in row for row in rows)}
    lines = ["| method | " + " | ".join(title for title, _ in used.values()) + " |",
             "|---" * (len(used) + 1) + "|"]
    return lines + [f"| {row['method']} | " + " | ".join(
        cell(row, key, digits) for key, (_, digits) in used.items()) + " |" for row in rows]
