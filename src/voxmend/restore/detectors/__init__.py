"""Detectors: one kind of damage of one channel, one file, one class.

A detector is a small object that sees a channel once, view by view (`base.View`), keeps what it
must remember in constant memory, and at the end adds what it found to the channel's `Damage`:

    class Hum(Detector):
        def __init__(self, spectra: Spectra): ...           # of the channel, or sample_rate
        def update(self, view: View) -> None: ...           # take in the samples that it owns
        def find(self, found: Damage) -> Damage: ...        # replace(found, hum=...)

`analysis.Channel` makes one of each for every channel and calls them in its order, in `update` and
in `find`: so a detector may read what those before it have marked in the view (`view.silent` by
`Gaps`, `view.clipped` by `Clipping`, `view.hum` by `Hum`) and what they have found
(`found.cutoff`). `spectra.Spectra` finds nothing itself; it is the statistic of short-time spectra
that several detectors read.

To add one: a field in `damage.Damage` with its line in `describe`, the detector in a file here, its
place in `analysis.Channel`, and in `Task.finds` of those tasks that can mend it.
"""
