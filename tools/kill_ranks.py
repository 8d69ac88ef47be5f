"""Kills one rank of a training again and again, and compares what comes out with a run left alone.

    python tools/kill_ranks.py [KILLS [RANKS]]

torchrun trains a tiny prior on a few seconds of tones. A rank is killed (SIGKILL) at a random
moment, while the ranks start or while they train; the run goes on with --resume. After every kill,
checkpoint, log and weights have to be whole; at the end weights and losses have to be those of the
run left alone. Takes 9 s of CPU a kill.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.numpy import load_file

from voxmend import audio
from voxmend.models.pickled import read_checkpoint
from voxmend.training.loop import train
from voxmend.training.recipes import PriorRecipe

STEPS = 400


def work(folder: Path) -> None:
    """What every rank does."""
    (folder / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    recipe = PriorRecipe(name="tiny", network="FrameConvNeXt", steps=STEPS, batch=4, seconds=0.5,
                         config={"channels": 32, "blocks": 2, "kernel": 3, "dilations": [1, 2]})
    train(recipe, folder.parent / "data", folder, resume=True, save_every=0.3)


def start(folder: Path, ranks: int) -> subprocess.Popen:
    """The run, from where it stands."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("pid-*"):
        old.unlink()
    return subprocess.Popen([sys.executable, "-m", "torch.distributed.run", "--standalone",
                             "--nproc-per-node", str(ranks), __file__, "--rank", str(folder)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def steps_done(folder: Path) -> int:
    """The steps in the log, whose every whole line has to be JSON."""
    log = folder / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def check(folder: Path) -> str:
    """Raises where something is half-written; the state in words."""
    products = [load_file(path) for path in folder.glob("prior.safetensors")]
    cards = [json.loads(path.read_text()) for path in folder.glob("prior.json")]
    assert len(cards) <= len(products)
    saved = folder / "checkpoint.pt"
    return (f"{steps_done(folder)} steps in the log, "
            + (f"{read_checkpoint(saved)['step']} in the checkpoint" if saved.exists()
               else "no checkpoint"))


def kill_one(folder: Path, ranks: int, rng: random.Random) -> str:
    """Starts the run, kills a rank at a random moment, and waits until all have ended."""
    begun, before = time.monotonic(), steps_done(folder)
    run, rank = start(folder, ranks), rng.randrange(ranks)
    training, patience = rng.random() < 0.75, rng.uniform(0, 4)
    while run.poll() is None and not (folder / f"pid-{rank}").exists():
        time.sleep(0.01)
    while training and run.poll() is None and steps_done(folder) == before:
        time.sleep(0.01)
    time.sleep(patience)
    if run.poll() is not None:
        return f"ended by itself: {check(folder)}"
    os.kill(int((folder / f"pid-{rank}").read_text()), signal.SIGKILL)
    run.wait(600)
    return (f"rank {rank} killed after {time.monotonic() - begun:.1f} s, "
            f"{'training' if training else 'starting or training'}: {check(folder)}")


def main(kills: int = 20, ranks: int = 2) -> None:
    """Prints a line a kill, and whether the results are identical."""
    rng = random.Random(0)
    with TemporaryDirectory() as name:
        root = Path(name)
        for split in ("train", "val"):
            (root / "data" / split).mkdir(parents=True)
            tone = np.sin(np.arange(64000) * 0.05)[None] * np.linspace(0, 0.5, 64000)
            audio.save(root / "data" / split / "tone.wav", tone.astype(np.float32), 16000)
        assert start(root / "alone", ranks).wait() == 0
        for number in range(kills):
            print(f"{number + 1:2}  {kill_one(root / 'killed', ranks, rng)}", flush=True)
        assert start(root / "killed", ranks).wait() == 0
        weights = [(root / run / "prior.safetensors").read_bytes() for run in ("alone", "killed")]
        logs = [(root / run / "log.jsonl").read_text() for run in ("alone", "killed")]
        left = sorted(path.name for path in (root / "killed").rglob("*")
                      if path.suffix == ".part" or path.name.startswith(".voxmend"))
        print(f"weights identical: {weights[0] == weights[1]}; logs identical: "
              f"{logs[0] == logs[1]}; left over: {', '.join(left) or 'nothing'}")
        assert weights[0] == weights[1] and logs[0] == logs[1]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rank"]:
        work(Path(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:]))
