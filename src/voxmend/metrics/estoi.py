"""Extended short-time objective intelligibility."""

from ._common import extra, paired


def estoi(estimate, reference, sample_rate: int) -> float:
    """Correlation of short-time third-octave envelopes (ESTOI), about 0 to 1; higher is better.

    The mean over 384 ms segments of ⟨X̄, X̄̂⟩, band envelopes normalised over time, then over bands,
    with the reference's silent frames left out; signals are resampled to 10 kHz.
    (Jensen & Taal 2016; computed by pystoi)

    Shape: `[T]`, `[T]` to a float.

    Raises ValueError for signals that are not 1-D or differ in length, ImportError without pystoi.
    """
    estimate, reference = paired(estimate, reference)
    return float(extra("pystoi").stoi(reference, estimate, sample_rate, extended=True))
