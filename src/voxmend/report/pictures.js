// Pictures: waveforms with marks, spectrograms, and the axis that they share.

const RANGE_DB = 80; // of the spectrogram's colours, below the loudest of all tracks
const WINDOWS = 2; // spectra a column of pixels is the mean of
const MAGMA = ["#000004", "#1c1044", "#4f127b", "#812581", "#b5367a", "#e55064", "#fb8761", "#fec287",
  "#fcfdbf"];

function transform(re, im) { // in place, radix 2
  const size = re.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
  }
  for (let span = 2; span <= size; span <<= 1) {
    const half = span >> 1, step = -2 * Math.PI / span;
    for (let k = 0; k < half; k++) {
      const c = Math.cos(step * k), s = Math.sin(step * k);
      for (let i = k; i < size; i += span) {
        const j = i + half, x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
        re[j] = re[i] - x; im[j] = im[i] - y;
        re[i] += x; im[i] += y;
      }
    }
  }
}

const SIZE = 2 ** Math.round(Math.log2(0.032 * DATA.rate));
const HANN = Float64Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / SIZE));

// Decibels of `columns` spectra of the samples first … last: two real ones in a complex transform.
function spectra(samples, first, last, columns) {
  const bins = SIZE / 2 + 1, out = new Float32Array(columns * bins);
  const re = new Float64Array(SIZE), im = new Float64Array(SIZE);
  for (let column = 0; column < columns; column++) {
    for (let part = 0; part < WINDOWS; part++) {
      const target = part % 2 ? im : re;
      const centre = first + (last - first) * (column + (part + 0.5) / WINDOWS) / columns;
      const start = Math.round(centre) - SIZE / 2;
      for (let i = 0; i < SIZE; i++) target[i] = (samples[start + i] || 0) * HANN[i];
    }
    transform(re, im); // |X + iY|² of bins k and −k add up to 2|X|² + 2|Y|²
    for (let k = 0; k < bins; k++) {
      const mirror = (SIZE - k) % SIZE;
      const power = (re[k] ** 2 + im[k] ** 2 + re[mirror] ** 2 + im[mirror] ** 2) / (2 * WINDOWS);
      out[column * bins + k] = 10 * Math.log10(power + 1e-12);
    }
  }
  return out;
}

const toMel = hertz => 2595 * Math.log10(1 + hertz / 700);
const fromMel = mel => 700 * (10 ** (mel / 2595) - 1);
const NYQUIST = DATA.rate / 2;

function hertzAt(share) { return view.mel ? fromMel(share * toMel(NYQUIST)) : share * NYQUIST; }
function shareAt(hertz) { return view.mel ? toMel(hertz) / toMel(NYQUIST) : hertz / NYQUIST; }

const COLOURS = Uint32Array.from({ length: 256 }, (_, i) => {
  const place = i / 255 * (MAGMA.length - 1), low = Math.min(Math.floor(place), MAGMA.length - 2);
  const part = shift => [low, low + 1].map(n => parseInt(MAGMA[n].slice(1 + shift, 3 + shift), 16))
    .reduce((a, b) => Math.round(a + (b - a) * (place - low)));
  return 255 << 24 | part(4) << 16 | part(2) << 8 | part(0);
});

// ---------------------------------------------------------------- pictures

const view = { first: 0, last: 0, mel: true, channel: 0, top: -Infinity };
let tracks = [], player;

function sized(canvas) { // a canvas with a pixel for each of the screen's; units are those of CSS
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "12px system-ui, sans-serif";
  return { pen, width, height };
}

function labelled(canvas, text) { // for those who cannot see it
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", text);
}

const samplesOf = track => track.buffer.getChannelData(Math.min(view.channel, track.buffer.numberOfChannels - 1));
const about = () => DATA.channels[Math.min(view.channel, DATA.channels.length - 1)];

function drawMarks(pen, x, height, shaded) { // a strip above, and below it a shade
  const colours = {};
  for (const [kind, start, end] of about().spans) {
    if (end < view.first || start > view.last) continue;
    pen.fillStyle = colours[kind] ??= colour(kind);
    const width = Math.max(x(end) - x(start), 1.5);
    pen.fillRect(x(start), 0, width, 4);
    pen.globalAlpha = 0.2;
    if (shaded) pen.fillRect(x(start), 4, width, height);
    pen.globalAlpha = 1;
  }
}

function drawWave(track, x) {
  const { pen, width, height } = sized(track.wave), samples = samplesOf(track);
  const middle = height / 2, high = value => middle - value * (middle - 4) / view.peak;
  drawMarks(pen, x, height, track.recording);
  const edges = Array.from({ length: width + 1 }, (_, i) =>
    Math.round((view.first + (view.last - view.first) * i / width) * DATA.rate));
  const [ink, shade] = [colour("wave"), colour("band")];
  const band = track.band && DATA.band.values[Math.min(view.channel, DATA.band.values.length - 1)];
  for (let i = 0; i < width; i++) {
    let low = Infinity, top = -Infinity;
    for (let n = edges[i]; n <= edges[i + 1] && n < samples.length; n++) {
      low = Math.min(low, samples[n]);
      top = Math.max(top, samples[n]);
    }
    if (top < low) continue;
    if (band) { // two standard deviations
      const frame = Math.min(Math.floor(edges[i] / DATA.rate / DATA.band.seconds), band.length - 1);
      const wide = 2 * DATA.scale * band[frame];
      pen.fillStyle = shade;
      pen.fillRect(i, high(top + wide), 1, high(low - wide) - high(top + wide));
    }
    pen.fillStyle = ink;
    pen.fillRect(i, high(top), 1, Math.max(high(low) - high(top), 1));
  }
  pen.strokeStyle = colour("clipping");
  pen.setLineDash([4, 4]);
  for (const [start, end, level] of track.recording ? about().levels : []) {
    const y = high(level * DATA.scale);
    pen.beginPath();
    pen.moveTo(x(Math.max(start, view.first)), y);
    pen.lineTo(x(Math.min(end, view.last)), y);
    pen.stroke();
  }
}

function drawSpectrogram(track, x) {
  const { pen, width, height } = sized(track.spectrogram);
  const columns = Math.round(width), rows = track.spectrogram.height, bins = SIZE / 2 + 1;
  const key = [view.first, view.last, view.channel, columns].join();
  if (track.key !== key) {
    track.levels = spectra(samplesOf(track), view.first * DATA.rate, view.last * DATA.rate, columns);
    track.key = key;
  }
  const image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer);
  for (let row = 0; row < rows; row++) {
    const place = hertzAt(1 - (row + 0.5) / rows) / NYQUIST * (bins - 1);
    const low = Math.min(Math.floor(place), bins - 2), part = place - low;
    for (let column = 0; column < columns; column++) {
      const at = column * bins + low;
      const level = track.levels[at] * (1 - part) + track.levels[at + 1] * part;
      pixels[row * columns + column] = COLOURS[clamp(Math.round(255 * (1 + (level - view.top) / RANGE_DB)), 0, 255)];
    }
  }
  const picture = element("canvas", { width: columns, height: rows });
  picture.getContext("2d").putImageData(image, 0, 0);
  pen.drawImage(picture, 0, 0, width, height);
  drawFrequencies(track, pen, width, height);
}

function drawFrequencies(track, pen, width, height) {
  const label = (text, left, y) => {
    pen.strokeStyle = "#000"; pen.lineWidth = 3; pen.strokeText(text, left, y);
    pen.fillStyle = "#fff"; pen.fillText(text, left, y);
  };
  const cutoffs = (track.recording ? about().cutoffs : []).map(hertz => [hertz, height * (1 - shareAt(hertz))]);
  pen.setLineDash([]);
  for (const kilo of view.mel ? [0.5, 1, 2, 4, 8, 16] : [2, 4, 6, 8, 12, 16, 20]) {
    const y = height * (1 - shareAt(1000 * kilo));
    const free = cutoffs.every(([, other]) => Math.abs(y - other) > 10);
    if (free && y > 10 && y < height - 4) label(`${kilo} kHz`, 4, y + 4);
  }
  for (const [hertz, y] of cutoffs) {
    for (const [style, wide] of [["#000", 4], ["#5ff", 2]]) {
      pen.strokeStyle = style; pen.lineWidth = wide; pen.setLineDash(style === "#000" ? [] : [8, 5]);
      pen.beginPath(); pen.moveTo(0, y); pen.lineTo(width, y); pen.stroke();
    }
    pen.setLineDash([]);
    pen.textAlign = "right";
    label(hertz < 1000 ? `${Math.round(hertz)} Hz` : `${(hertz / 1000).toFixed(1)} kHz`, width - 4, y - 5);
    pen.textAlign = "left";
  }
}

function scaleOfColours() {
  const bar = element("span", { className: "bar" });
  bar.style.background = `linear-gradient(90deg, ${MAGMA})`;
  return element("p", { className: "soft" }, `Spectrogram, dB: −${RANGE_DB} `, bar, " 0, the loudest of all");
}

function drawAxis() {
  const { pen, width } = sized($("axis")), span = view.last - view.first;
  const step = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].find(s => span / s * 56 < width) || 20;
  const long = DATA.begin + view.last >= 60;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  pen.fillStyle = pen.strokeStyle = colour("soft");
  for (let n = Math.ceil((DATA.begin + view.first) / step); n * step <= DATA.begin + view.last; n++) {
    const x = (n * step - DATA.begin - view.first) / span * width, text = long ? clock(n * step, digits) : `${(n * step).toFixed(digits)} s`;
    pen.fillRect(x, 0, 1, 5);
    pen.fillText(text, clamp(x - pen.measureText(text).width / 2, 0, width - pen.measureText(text).width), 18);
  }
}

function draw() {
  const width = $("axis").clientWidth, x = seconds => (seconds - view.first) / (view.last - view.first) * width;
  for (const track of tracks) { drawWave(track, x); drawSpectrogram(track, x); }
  drawAxis();
  $("reset").disabled = view.last - view.first >= player.duration;
  follow();
}

function describe(track) {
  const counts = {};
  for (const [kind] of about().spans) counts[kind] = (counts[kind] || 0) + 1;
  if (track.recording) $("legend").replaceChildren(...Object.keys(counts).map(kind =>
    element("span", { className: kind, textContent: KINDS[kind] })));
  const marks = Object.entries(counts).map(([kind, n]) => `${n} marks of ${KINDS[kind]}`).join(", ");
  labelled(track.wave, `Waveform of ${track.name}${marks && `, ${marks}`}`);
  labelled(track.spectrogram, `Spectrogram of ${track.name}, 0 to ${NYQUIST / 1000} kHz`);
}
