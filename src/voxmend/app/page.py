"""The page, laid out in gradio: what can be chosen, and which of the desk's answers goes where."""

from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, NamedTuple

import gradio as gr

from . import markup, voices
from .desk import SAME, Arrival, Desk, View, VoicesView
from .limits import MOST_DRAWS, MOST_VOICES, Limits
from .runs import Command
from .store import Store

QUEUE = "work"  # of all that takes long
INTRODUCTION = """# voxmend
Drop a recording of speech: you see and hear what is wrong with it, and have it mended.
A recording may last {minutes:g} minutes and have {megabytes:g} MB; this server removes it an hour
after its last use.
"""
NO_SPEECH_SYNTHESIS = """A voice is a vector of 704 numbers: 192 of an ECAPA-TDNN and 512 of an
x-vector. `voice.npy` holds one, for a text-to-speech that takes such vectors; none that takes these
comes with voxmend, so there is nothing to hear here."""


def asset(name: str) -> str:
    """A file of this room."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


CSS, HEAD = asset("page.css"), asset("frames.html")


def theme() -> gr.themes.Base:
    """Colours, and fonts that every system has: none is fetched."""
    plain = gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"],
                              font_mono=["ui-monospace", "monospace"])
    return plain.set(  # with a contrast of 4.5 at least (WCAG 2.2, 1.4.3)
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        body_text_color_subdued="*neutral_500")


class Outputs(NamedTuple):
    """Where a view of a run goes."""

    status: gr.HTML
    result: gr.HTML
    command: gr.HTML


def build(store: Store, limits: Limits, main: Command) -> gr.Blocks:
    """The page."""
    desk = Desk(store, limits, main)
    with gr.Blocks(title="voxmend", analytics_enabled=False) as blocks:
        gr.Markdown(INTRODUCTION.format(minutes=limits.minutes, megabytes=limits.megabytes))
        secret = gr.State(delete_callback=store.remove)
        drop = _drop(limits)
        status, finding = (gr.HTML(elem_id=name, elem_classes="quiet")
                           for name in ("arrival", "finding"))
        with gr.Tab("Restore", elem_id="restore"):
            kinds, forms = _restore(desk, limits, secret)
        with gr.Tab("Enhance", elem_id="enhance"):
            forms += _enhance(desk, limits, secret)
        with gr.Tab("Separate", elem_id="separate"):
            _separate(desk, limits, secret)
        with gr.Tab("Speakers", elem_id="speakers"):
            _speakers(desk)

        def arrive(event: gr.EventData) -> Iterator[list[Any]]:
            for view in desk.arrive(event.secret, event.before):
                yield [*_arrived(view), *[_forms(view)] * len(forms)]

        drop.upload(arrive, None, [secret, status, finding, kinds, *forms],
                    concurrency_limit=limits.concurrency + 1, show_progress="hidden",
                    trigger_mode="multiple", api_visibility="private")
    return blocks


def _arrived(view: Arrival) -> list[Any]:
    """An arrival as values of the secret, the line, what was found, and the kinds to choose."""
    recording, found = view.recording, view.recording and view.recording.found
    kinds = found.mendable if found else {}
    return [recording and recording.secret, view.status, view.finding, gr.CheckboxGroup(
        choices=[(text, kind) for kind, text in kinds.items()], value=list(kinds))]


def _forms(view: Arrival) -> Any:
    """The formats that can be chosen for a recording."""
    suffix = view.recording and view.recording.found and view.recording.found.writable
    choices = [("wav", "wav")]
    if suffix and suffix != ".wav":
        choices.append((f"{suffix[1:]}, as it came", SAME))
    return gr.Radio(choices=choices, value="wav")


def _drop(limits: Limits) -> gr.HTML:
    return gr.HTML(html_template=asset("drop.html"), js_on_load=asset("drop.js"),
                   most=limits.megabytes, apply_default_css=False)


def _form() -> gr.Radio:
    return gr.Radio([("wav", "wav")], value="wav", label="Write as")


def _outputs() -> Outputs:
    """The places of a view, below the buttons."""
    status = gr.HTML(elem_classes="status")
    result = gr.HTML(elem_classes="result quiet")
    return Outputs(status, result, gr.HTML(js_on_load=asset("copy.js"), elem_classes="quiet"))


def _runs(run: str, desk: Desk, limits: Limits, secret: gr.State,
          function: Callable[..., Iterator[View]], chosen: list[Any]) -> None:
    """Buttons that run a function of the desk and cancel it, and where its views go."""
    with gr.Row():
        start = gr.Button(run, variant="primary")
        stop = gr.Button("Cancel")
    outputs = _outputs()

    def course(*values: Any) -> Iterator[View]:
        yield from function(*values)

    running = start.click(course, [secret, *chosen], list(outputs), concurrency_id=QUEUE,
                          concurrency_limit=limits.concurrency, show_progress="minimal",
                          show_progress_on=outputs.status, api_visibility="private")
    stop.click(lambda: markup.note("stopped; what was done before is kept"), None, outputs.status,
               cancels=running, queue=False, show_progress="hidden", api_visibility="private")


def _restore(desk: Desk, limits: Limits, secret: gr.State) -> tuple[gr.CheckboxGroup, list[Any]]:
    kinds = gr.CheckboxGroup([], label="Mend what was found",
                             info="Each part can be left as it is.")
    form = _form()
    with gr.Accordion("More", open=False):
        draws = gr.Slider(1, MOST_DRAWS, 1, step=1, label="Draws",
                          info="Of several you get the mean, and how far they differ.")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, info="Same seed, same result.")
    _runs("Restore", desk, limits, secret, desk.mend, [kinds, form, draws, seed])
    return kinds, [form]


def _enhance(desk: Desk, limits: Limits, secret: gr.State) -> list[Any]:
    with gr.Tab("Clean"):
        verb = gr.Radio([("noise", "enhance"), ("echo and noise", "dereverb")], value="enhance",
                        label="Take away")
        form = _form()
        with gr.Accordion("More", open=False):
            refined = gr.Checkbox(label="Refine the result (slower)")
            limit = gr.Slider(0, 60, 0, step=1, label="Take away at most, dB",
                              info="0 is no limit.")
            rest = gr.Checkbox(label="Keep what is taken away, too")
        verb.change(lambda chosen: [gr.update(visible=chosen == "enhance")] * 2, verb,
                    [refined, limit], show_progress="hidden", api_visibility="private")
        _runs("Enhance", desk, limits, secret, desk.enhance, [verb, form, refined, limit, rest])
    with gr.Tab("Refine"):
        gr.Markdown("Above, drop the noisy recording; here, what another tool has made of it.")
        other = gr.State(delete_callback=desk.store.remove)
        drop, status = _drop(limits), gr.HTML()

        def arrive(event: gr.EventData) -> Iterator[list[Any]]:
            for view in desk.arrive(event.secret, event.before):
                yield [view.recording and view.recording.secret, view.status]

        drop.upload(arrive, None, [other, status], concurrency_limit=limits.concurrency + 1,
                    show_progress="hidden", trigger_mode="multiple", api_visibility="private")
        refined_form = _form()
        seed = gr.Number(0, label="Seed", precision=0, minimum=0)
        _runs("Refine", desk, limits, secret, desk.refine, [other, refined_form, seed])
    return [form, refined_form]


def _separate(desk: Desk, limits: Limits, secret: gr.State) -> None:
    gr.Markdown("Two people who speak at once, each in a file of their own.")
    _runs("Separate", desk, limits, secret, desk.separate, [])


def _speakers(desk: Desk) -> None:
    gr.Markdown("Voices that nobody has. Grey: voices that the model was trained on (discs are "
                "women, rings men); blue: new ones. Click on the map to steer the new ones there.")
    with gr.Row():
        with gr.Column(scale=3):
            map_ = gr.HTML(voices.picture(), js_on_load=asset("map.js"), elem_id="map")
        with gr.Column(scale=2):
            count = gr.Slider(1, MOST_VOICES, 8, step=1, label="How many")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0)
            draw = gr.Button("Draw new voices", variant="primary")
            with gr.Row():
                x, y = (gr.Slider(-voices.SPAN, voices.SPAN, 0, step=0.1, label=f"Axis {axis}")
                        for axis in voices.AXES)
            steer = gr.Button("Steer them there")
            outputs = _outputs()
    gr.Markdown(NO_SPEECH_SYNTHESIS)
    secret, drawn = gr.State(delete_callback=desk.store.remove), gr.State(())

    def shown(kept: str, course: Iterator[tuple[str, VoicesView]]) -> Iterator[list[Any]]:
        for new, view in course:
            yield [new or kept, view.drawn, view.map, view.status, view.result, view.command]

    def draw_(kept: str, count: float, seed: float) -> Iterator[list[Any]]:
        yield from shown(kept, desk.draw_voices(kept, count, seed))

    def steer_(kept: str, count: float, seed: float, start: Any, x: float,
               y: float) -> Iterator[list[Any]]:
        yield from shown(kept, desk.draw_voices(kept, count, seed, start, (x, y)))

    def click(kept: str, count: float, seed: float, start: Any,
              event: gr.EventData) -> Iterator[list[Any]]:
        yield from steer_(kept, count, seed, start, *voices.place(event.x, event.y))

    into = [secret, drawn, map_, *outputs]
    listen: dict[str, Any] = {"concurrency_id": QUEUE, "show_progress": "minimal",
              "show_progress_on": outputs.status, "api_visibility": "private"}
    draw.click(draw_, [secret, count, seed], into, **listen)
    steer.click(steer_, [secret, count, seed, drawn, x, y], into, **listen)
    map_.click(click, [secret, count, seed, drawn], into, **listen)
