"""The report on drawn voices: one HTML page with its pictures inside, and JSON."""

import base64
import html
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .. import audio, metrics
from ..metrics._common import extra
from .embeddings import Embeddings
from .figures import figures, one_each
from .space import VoiceSpace

POINTS = 1000  # of each set in a picture
COLUMNS = {
    "mean_difference": ("mean difference", 3,
                        "absolute difference from the originals' mean, in standard deviations; "
                        "mean over the dimensions"),
    "variance_difference": ("variance difference", 3,
                            "absolute difference from the originals' variance, as a share of it; "
                            "mean over the dimensions"),
    "variance_difference_largest": ("largest", 3, "the same of the worst dimension"),
    "frechet": ("Fréchet distance", 4,
                "squared distance of the Gaussians fitted to the voices and to real people; 0 is "
                "best"),
    "precision": ("precision", 3, "share of the voices that lie within the third neighbour's "
                                  "distance of a real person"),
    "recall": ("recall", 3, "share of real people who lie within the third neighbour's distance "
                            "of a voice"),
    "copy_ratio": ("newness", 3, "median distance of a voice to the nearest original, over that "
                                 "of a real person: 0 for copies, 1 as new as people are"),
    "spread_ratio": ("spread", 3, "median distance of a voice to the nearest other one, over that "
                                  "among as many real people: 0 for repetitions, 1 as people"),
    "two_sample": ("told apart", 3, "accuracy of a support vector machine that tells voices from "
                                    "real people, on unseen ones: 0.5 if it cannot, 1 if it can"),
    "women": ("women", 3, "share of women, by logistic regression on the originals' labels"),
}
STYLE = """body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .7em; text-align: right }
th:first-child, td:first-child { text-align: left } tr { border-bottom: 1px solid #ccc }
img { max-width: 100% }"""


def write(folder: Path, originals: Embeddings, drawn: Embeddings,
          held_out: Embeddings | None = None, curve: list[float] | None = None, seed: int = 0,
          overwrite: bool = False, say: Callable[[str], None] = lambda what: None) -> dict:
    """Writes `folder/index.html` and `folder/report.json`, and returns what the latter holds.

    Args:
        curve: the loss of the model's training.
    """
    result = figures(originals, drawn, held_out, seed, say)
    say("drawing pictures")
    pictures = {"Originals (red) and drawn voices (blue), t-SNE": tsne(originals, drawn, seed),
                "Mean and variance along the originals' principal axes": spectra(originals, drawn)}
    if curve:
        pictures["Loss of the training"] = loss_curve(curve)
    for name, text in (("report.json", json.dumps(result, indent=2)),
                       ("index.html", page(result, pictures))):
        with audio.atomic_path(folder / name, overwrite) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    return result


def cell(value: float | None, digits: int) -> str:
    """A figure as it stands in a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def summary(result: dict) -> list[str]:
    """What the figures say, a sentence each."""
    rows = {row["method"]: row for row in result["rows"]}
    drawn, gaussian = rows["drawn"], rows["one Gaussian"]
    lines = [f"{result['distinct']} of {result['drawn']} drawn voices are distinct.",
             f"The variance differs by {drawn['variance_difference']:.1%} in the mean over the "
             f"{result['dimensions']} dimensions, by {drawn['variance_difference_largest']:.1%} in "
             "the worst."]
    far = "a held-out person" if result["held_out"] else "one of their speakers from the others"
    lines.append(f"In the median a drawn voice is {drawn['copy_ratio']:.2f} times as far from the "
                 f"nearest original as {far}, and {drawn['spread_ratio']:.2f} times as far from "
                 "the nearest other voice as people are from each other.")
    others = {name: row["frechet"] for name, row in rows.items() if name not in ("originals",
                                                                                 "drawn")}
    best = min(others, key=lambda name: others[name])
    against = "held-out people" if result["held_out"] else "the originals"
    better = drawn["frechet"] < others[best]
    lines.append(f"Fréchet distance to {against}: drawn {drawn['frechet']:.4f}, one Gaussian "
                 f"{gaussian['frechet']:.4f}: the diffusion model "
                 + ("is nearer than every yardstick." if better else
                    f"does not earn its place by this figure, {best} is at least as near."))
    if result["sex"] and result["sex"]["probe_accuracy_held_out"] is not None:
        lines.append(f"The probe of sex is right on {result['sex']['probe_accuracy_held_out']:.1%} "
                     "of held-out people; "
                     f"{result['sex']['women_among_speakers']:.1%} of the originals are women.")
    return lines


def markdown(result: dict) -> list[str]:
    """Lines of a Markdown table of the figures."""
    return metrics.table(result["rows"], {key: column[:2] for key, column in COLUMNS.items()})


def page(result: dict, pictures: dict[str, bytes]) -> str:
    """The HTML page."""
    used = {key: column for key, column in COLUMNS.items()
            if any(row.get(key) is not None for row in result["rows"])}
    table = [["voices", *(title for title, _, _ in used.values())],
             *([row["method"], *(cell(row.get(key), digits)
                                 for key, (_, digits, _) in used.items())]
               for row in result["rows"])]
    people = (f"{result['people']} held-out people" if result["held_out"]
              else f"{result['people']} of the originals' speakers")
    parts = ["<h1>Voices that nobody has</h1>",
             f"<p>{result['drawn']} drawn voices of {result['dimensions']} dimensions, learnt from "
             f"{result['originals']} recordings of {result['speakers'] or 'unknown'} speakers; "
             f"real people are {people}. Every speaker counts the same. Encoder "
             f"{html.escape(result['encoder'])}, seed {result['seed']}, voxmend "
             f"{result['version']}.</p>",
             "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in summary(result))
             + "</ul>", rows_of(table), "<dl>"]
    parts += [f"<dt><b>{title}</b></dt><dd>{what}.</dd>" for title, _, what in used.values()]
    parts += ["</dl>", "<p>Precision, recall, spread and told apart are means over ten random "
              f"subsets of as many voices as there are people. With {result['people']} people, "
              f"shares are uncertain by {0.5 / result['people'] ** 0.5:.0%}.</p>"]
    for title, picture in pictures.items():
        data = base64.b64encode(picture).decode()
        parts += [f"<h2>{html.escape(title)}</h2>",
                  f'<img alt="{html.escape(title)}" src="data:image/png;base64,{data}">']
    parts += ["<h2>Steering</h2>", "<p>Drawn voices rotated towards an axis by so many standard "
              "deviations: where they stand then, the probe's decision, and how far the rest of a "
              "voice, all but its place on the axis, moved as a share of its length, in the mean "
              "and at most.</p>"]
    for axis, rows in result["steering"].items():
        parts += [f"<h3>axis {axis}</h3>", rows_of(
            [["amount", "position", "share of women", "mean probability", "rest", "at most"],
             *([f"{row['amount']:+g}", cell(row["position"], 2), cell(row["women"], 3),
                cell(row["probability"], 3), cell(row["rest"], 3),
                cell(row["rest_largest"], 3)] for row in rows)])]
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Voices</title>\n'
            f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>")


def rows_of(table: list[list[str]]) -> str:
    """An HTML table; its first row is the heading."""
    def line(row: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in row) + "</tr>"

    return "<table>" + "\n".join([line(table[0], "th"), *(line(row, "td") for row in table[1:])]
                                 ) + "</table>"


def _figure(**options: Any) -> Any:
    return extra("matplotlib.figure", "speakers").Figure(layout="constrained", **options)


def _png(figure: Any) -> bytes:
    out = BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()


def tsne(originals: Embeddings, drawn: Embeddings, seed: int) -> bytes:
    """Maps of both sets in which neighbours stay neighbours, as PNG.

    On the left all recordings, in which a speaker of many is a cluster; on the right one recording
    of each speaker and as many voices.
    """
    rng = np.random.default_rng(seed)
    people = one_each(originals, rng)
    everything = [rng.permutation(e.vectors)[:POINTS] for e in (originals, drawn)]
    figure = _figure(figsize=(11, 5.5))
    for axis, title, (red, blue) in zip(
            figure.subplots(1, 2), ("all recordings", "one of each speaker"),
            (everything, (people, everything[1][:len(people)])), strict=True):
        both = np.concatenate([red, blue])
        reduce = extra("sklearn.manifold", "speakers").TSNE(
            random_state=seed, perplexity=min(30, len(both) // 4))
        x, y = reduce.fit_transform(both).T
        order = rng.permutation(len(both))  # so that neither set hides the other
        colours = np.repeat(["red", "blue"], [len(red), len(blue)])
        axis.scatter(x[order], y[order], s=6, c=colours[order], linewidths=0)
        axis.set(xticks=[], yticks=[], title=title)
    return _png(figure)


def spectra(originals: Embeddings, drawn: Embeddings) -> bytes:
    """Mean and variance along the principal axes of the originals, as PNG."""
    space = VoiceSpace.of(originals)
    z, number = space.components(drawn.vectors).numpy(), np.arange(1, originals.dim + 1)
    variances = space.variances.numpy()
    figure = _figure(figsize=(10, 4))
    means, spread = figure.subplots(1, 2)
    means.axhline(0, color="red", label="originals")
    means.plot(number, z.mean(0) / np.sqrt(variances), ".", color="blue", label="drawn")
    means.set(xlabel="axis", ylabel="mean, standard deviations", xscale="log", ylim=(-1, 1))
    spread.plot(number, variances, color="red", label="originals")
    spread.plot(number, z.var(0), ".", color="blue", label="drawn")
    spread.set(xlabel="axis", ylabel="variance", xscale="log", yscale="log")
    spread.legend()
    return _png(figure)


def loss_curve(losses: list[float]) -> bytes:
    """The loss over the training, as a PNG."""
    figure = _figure(figsize=(7, 3))
    axis = figure.subplots()
    axis.plot((np.arange(len(losses)) + 0.5) / len(losses), losses)
    axis.set(xlabel="share of the training", ylabel="loss")
    return _png(figure)
