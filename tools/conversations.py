"""How well conversations are taken apart: `python tools/conversations.py SPEECH [PAIRS [ALONE]]`.

SPEECH is a folder of recordings called by their speakers as in LibriSpeech; test/ is used where
there is one. Speakers converse in pairs for five minutes, with pauses of 0…5 s and overlaps of 0,
20, 40 and 60 % in turn (the same speech comes again where there is less of it); others speak alone
for a minute; out of the bench's mixtures each person is picked who is told by 4 s of other speech.
Prints the share of half-seconds on the wrong track, the share of each track's speech that is its
person's, and SI-SDR improvement, with places by shared seconds, by embeddings and, as a bound, by
the truth; then how many people alone come out as one voice, and how often the right one was picked.
"""

import sys
import time
from pathlib import Path

import numpy as np

from voxmend.benchmarks import conversations as bench
from voxmend.benchmarks.restoration import load_clips, mixtures
from voxmend.speakers.encoders import load_encoder
from voxmend.systems import separator
from voxmend.systems.conversation import Conversation

ENCODER, OVERLAPS, MINUTES = "ecapa", (0.0, 0.2, 0.4, 0.6), 5
COLUMNS = ("swaps", "own", "own_least", "gain_db")


def converse(system: Conversation, people: dict[str, np.ndarray], pairs: int) -> None:
    """Prints a row for each conversation, and means."""
    names = np.random.default_rng(1).permutation(list(people))
    print("| speakers | overlap | by | wrong track | own speech | of the worse track | SI-SDRi dB |"
          "\n|---|---|---|---|---|---|---|")
    rows: dict[tuple[str, str], list[list[float]]] = {}
    begun = time.monotonic()
    for number in range(pairs):
        one, two = (str(names[(2 * number + k) % len(names)]) for k in range(2))
        overlap = OVERLAPS[number % len(OVERLAPS)]
        voices = bench.converse([people[one], people[two]], 60 * MINUTES, overlap, seed=number)
        for by, figures in bench.of_two(system, voices).items():
            row = [figures[name] for name in COLUMNS]
            for kind in (f"{overlap:.0%}", "all"):
                rows.setdefault((kind, by), []).append(row)
            print(f"| {one}, {two} | {overlap:.0%} | {by} | " + tell(row), flush=True)
    for (kind, by), found in rows.items():
        print(f"| mean of {len(found)} | {kind} | {by} | " + tell(np.mean(found, 0)))
    spent = (time.monotonic() - begun) / (pairs * 60 * MINUTES)
    print(f"\nReal-time factor, scores included: {spent:.2f}\n")


def tell(row) -> str:
    """The figures of a row, formatted."""
    swaps, own, least, gain = row
    return f"{swaps:.1%} | {own:.1%} | {least:.1%} | {gain:.1f} |"


def main(speech: Path, pairs: int = 22, singles: int = 16) -> None:
    """Prints all figures."""
    system = Conversation(separator.load("separate", "frame-separator", device="cpu"),
                          load_encoder(ENCODER, "cpu").embed,
                          recognise=load_encoder(device="cpu").embed)
    people = bench.speakers_of(speech)
    if pairs:
        converse(system, people, pairs)
    waves = list(people.values())
    below = [bench.of_one(system, bench.converse([wave], 60, seed=number)[0])
             for number, wave in enumerate(waves[:singles])]
    if below:
        one = sum(db > separator.HEARD_DB for db in below)
        print(f"{one} of {len(below)} people alone come out as one voice, the other track at least "
              f"{min(below):.1f} dB below")
    half, right = len(waves) // 2, []
    for number, mixture in enumerate(mixtures(load_clips(speech, None))):
        told = [bench.enrolment(waves[number + k * half]) for k in range(2)]
        right += bench.picked(system, mixture.clean, told)
    print(f"The right person picked in {sum(right)} of {len(right)} ({np.mean(right):.1%})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
