// Controls, keys, and what puts all together.

function follow() { // puts the line and the figures where the player is
  const { position } = player, share = (position - view.first) / (view.last - view.first);
  for (const { head, plots } of tracks) {
    head.forEach((line, n) => {
      line.hidden = share < 0 || share > 1;
      line.style.transform = `translateX(${share * plots[n].clientWidth}px)`;
    });
  }
  $("position").value = position;
  $("position").setAttribute("aria-valuetext", clock(DATA.begin + position));
  $("time").textContent = `${clock(DATA.begin + position)} / ${clock(DATA.begin + player.duration)}`;
}

function tick() {
  if (!player.playing) return;
  if (player.position >= player.duration) toggle();
  follow();
  requestAnimationFrame(tick);
}

function toggle() {
  if (player.playing) player.pause(); else player.play();
  $("play").textContent = player.playing ? "Pause" : "Play";
  tick();
}

function seek(seconds) {
  player.seek(seconds);
  follow();
}

function zoom(first, last) {
  const span = clamp(last - first, 0.02, player.duration);
  view.first = clamp(first, 0, player.duration - span);
  view.last = view.first + span;
  draw();
  if (player.position < view.first || player.position > view.last) seek(view.first);
}

function scaleZoom(factor) {
  const middle = clamp(player.position, view.first, view.last);
  zoom(middle - (middle - view.first) * factor, middle + (view.last - middle) * factor);
}

function nextMark() {
  const starts = about().spans.map(([, start]) => Math.max(start - 0.25, 0));
  const start = starts.find(time => time > player.position + 0.05) ?? starts[0];
  if (start === undefined) return;
  if (start < view.first || start > view.last) zoom(start, start + view.last - view.first);
  seek(start);
}

function choose(number) {
  player.set({ current: number });
  document.getElementsByName("track")[number].checked = true;
}

function check(box) { // as if clicked
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change"));
}

function press(event) {
  const typed = event.target.closest("input, select, button, audio");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const letter = tracks.findIndex(track => track.letter === key);
  const own = typed && (key.startsWith("Arrow") || key === " " || typed.tagName === "SELECT");
  if (own && !(typed.name === "track" && key === " ")) return;
  const step = event.shiftKey ? 5 : 1;
  const keys = {
    " ": toggle, ArrowLeft: () => seek(player.position - step), ArrowRight: () => seek(player.position + step),
    L: () => $("loudness") && check($("loudness")), N: nextMark, "+": () => scaleZoom(0.5), "-": () => scaleZoom(2),
    M: () => { $("scale").selectedIndex = view.mel ? 1 : 0; $("scale").dispatchEvent(new Event("change")); },
    Escape: () => zoom(0, player.duration),
  };
  if (letter < 0 && !keys[key]) return;
  event.preventDefault();
  if (letter < 0) keys[key](); else choose(letter);
}

function drag(plot) { // a stretch to zoom to, or a place to go to
  let from = null;
  const selection = element("div", { className: "selection", hidden: true });
  plot.append(selection);
  const at = event => clamp(event.clientX - plot.getBoundingClientRect().left, 0, plot.clientWidth);
  const time = x => view.first + x / plot.clientWidth * (view.last - view.first);
  plot.addEventListener("pointerdown", event => {
    if (event.button) return;
    from = at(event);
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", event => {
    if (from === null) return;
    const to = at(event);
    selection.hidden = Math.abs(to - from) < 5;
    selection.style.left = `${Math.min(from, to)}px`;
    selection.style.width = `${Math.abs(to - from)}px`;
  });
  plot.addEventListener("pointerup", event => {
    if (from === null) return;
    const [start, to] = [from, at(event)];
    from = null;
    selection.hidden = true;
    if (Math.abs(to - start) < 5) seek(time(to)); else zoom(time(Math.min(start, to)), time(Math.max(start, to)));
  });
  plot.addEventListener("pointercancel", () => { from = null; selection.hidden = true; });
}

// ---------------------------------------------------------------- begin

function plotted(figure, track) { // gives a figure its two pictures
  track.plots = ["wave", "spectrogram"].map(kind => {
    track[kind] = element("canvas", { className: kind });
    const plot = element("div", { className: "plot" }, track[kind]);
    figure.append(plot);
    return plot;
  });
  track.head = track.plots.map(plot => plot.appendChild(element("div", { className: "head" })));
  track.plots.forEach(drag);
}

function build(buffers) {
  const figures = [...document.querySelectorAll(".track")], letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  tracks = buffers.map((buffer, n) => ({ buffer, name: DATA.names[n], gain: DATA.gains[n], plain: DATA.plain, letter: letters[n], recording: n === 0 }));
  if (DATA.band) tracks.at(-1).band = true;
  if (tracks.length === 2) {
    const buffer = difference(buffers[0], buffers[1]);
    const fits = gain => Math.min(gain, 1 / peak(buffer)); // beyond 1 it would be clipped
    tracks.push({ buffer, name: "difference", gain: fits(Math.min(...DATA.gains)), plain: fits(DATA.plain), letter: "D", recording: false });
    const caption = element("figcaption", {}, element("b", { textContent: "D " }), "difference, A − B");
    figures.push($("plots").appendChild(element("figure", { className: "track" }, caption)));
  }
  document.querySelectorAll("audio").forEach(audio => { audio.hidden = true; });
  tracks.forEach((track, n) => plotted(figures[n], track));
  figures[0].querySelector("figcaption").append(element("span", { id: "legend" }));
  $("plots").append(element("canvas", { id: "axis", className: "axis" }));
  labelled($("axis"), "Time in seconds");
  $("plots").append(scaleOfColours());

  player = new Player(tracks);
  Object.assign(view, { last: player.duration, peak: Math.max(...buffers.map(peak)) });
}

function connect() {
  $("choices").hidden = tracks.length < 2;
  tracks.forEach((track, number) => {
    const input = element("input", { type: "radio", name: "track", checked: !number, onchange: () => choose(number) });
    input.setAttribute("aria-keyshortcuts", track.letter);
    $("choices").append(element("label", {}, input, element("span", { textContent: `${track.letter} ${track.name}` })));
  });
  const names = DATA.channels.map(channel => channel.name);
  $("channel").append(...names.map(name => new Option(name)));
  $("channel").onchange = () => { view.channel = $("channel").selectedIndex; refresh(); };
  $("scale").onchange = () => { view.mel = $("scale").selectedIndex === 0; draw(); };
  if ($("loudness")) $("loudness").onchange = () => player.set({ equal: $("loudness").checked });
  $("play").onclick = toggle;
  $("reset").onclick = () => zoom(0, player.duration);
  $("next").onclick = nextMark;
  $("next").hidden = !DATA.channels.some(channel => channel.spans.length);
  $("position").max = player.duration;
  $("position").oninput = () => seek($("position").valueAsNumber);
  document.addEventListener("keydown", press);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let waits;
  new ResizeObserver(() => { clearTimeout(waits); waits = setTimeout(draw, 100); }).observe($("plots"));
  $("player").hidden = false;
}

function refresh() { // of another channel: its loudest is the top of the colours
  const columns = 400;
  view.top = Math.max(...tracks.map(track => spectra(samplesOf(track), 0, track.buffer.length, columns)
    .reduce((top, level) => Math.max(top, level), -Infinity)));
  tracks.forEach(describe);
  draw();
}

if (parent !== window) { // in a frame of a page that has a heading, and that is told how high it is
  document.documentElement.classList.add("embedded");
  new ResizeObserver(() => parent.postMessage({ height: document.documentElement.offsetHeight }, "*"))
    .observe(document.documentElement);
}

Promise.all([...document.querySelectorAll("audio")].map(decode)).then(buffers => {
  build(buffers);
  connect();
  refresh();
}).catch(error => {
  $("trouble").textContent = `This browser cannot show the recordings (${error.message || error}); they play one by one.`;
});
