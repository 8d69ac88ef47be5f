"""The command as tests run it, and inputs that it refuses."""

import numpy as np
import soundfile

from voxmend.cli import main as cli


def run(capsys, *args):
    code = cli.main([str(a) for a in args])
    return code, capsys.readouterr()


def bad_inputs(tmp_path):
    """Name and path of every kind of bad input."""
    def write(name, wave, rate=16000, subtype="FLOAT"):
        soundfile.write(tmp_path / name, wave, rate, subtype=subtype)

    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("not audio at all\n")
    write("nan.wav", np.full(16000, np.nan))
    write("inf.wav", np.full(16000, np.inf))
    write("many.wav", np.zeros((1600, 32)))
    write("slow.wav", np.zeros(3000), 3999)
    write("none.wav", np.zeros(0))
    return ["missing.wav", "empty.wav", "text.wav", "nan.wav", "inf.wav", "many.wav", "slow.wav",
            "none.wav"]
