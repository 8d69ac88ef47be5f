import numpy as np
import pytest
import soundfile

import trials

RECIPE = """
from voxmend.training.recipes import PriorRecipe

recipe = PriorRecipe(name="{name}", network="FrameConvNeXt", steps=4, batch=2, seconds=0.5,
                     config=dict(channels={channels}, blocks=1))
"""


def test_each_recipe_has_its_rows(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        (tmp_path / "speech" / part).mkdir(parents=True)
        soundfile.write(tmp_path / "speech" / part / "a.wav", 0.1 * rng.normal(size=48000), 16000)
    files = []
    for name, channels in (("narrow", 8), ("wide", 16)):
        files.append(tmp_path / f"{name}.py")
        files[-1].write_text(RECIPE.format(name=name, channels=channels))
    command = [str(path) for path in (tmp_path / "speech", tmp_path / "out", *files)]
    trials.main([*command, "--every", "2"])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]]
            for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == ["narrow"] * 3 + ["wide"] * 3
    hours = 2 * 0.5 / 3600  # of a step
    assert [float(row[2]) for row in rows[:3]] == pytest.approx([2 * hours, 4 * hours, 4 * hours],
                                                               rel=0.01)
    assert all("0.1: " in row[3] for row in rows)  # the gain at sigma 0.1
    with pytest.raises(FileExistsError, match="a run is there"):
        trials.main(command)
