// Sound: decoded without resampling, and played so that a switch keeps the place.

async function decode(audio) {
  const bytes = Uint8Array.from(atob(audio.src.split(",")[1]), letter => letter.charCodeAt(0));
  const context = new OfflineAudioContext(2, 1, DATA.rate); // decodes without resampling
  return context.decodeAudioData(bytes.buffer);
}

function difference(one, other) {
  const channels = Math.min(one.numberOfChannels, other.numberOfChannels);
  const made = new AudioBuffer({ numberOfChannels: channels, length: one.length, sampleRate: one.sampleRate });
  for (let channel = 0; channel < channels; channel++) {
    const [a, b] = [one.getChannelData(channel), other.getChannelData(channel)];
    made.copyToChannel(a.map((x, i) => x - b[i]), channel);
  }
  return made;
}

function peak(buffer) {
  let top = 1e-6;
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    for (const x of buffer.getChannelData(channel)) top = Math.max(top, Math.abs(x));
  }
  return top;
}

// All tracks run at once and all but one are silent, so that a switch keeps the place.
class Player {
  constructor(tracks) {
    this.tracks = tracks;
    this.duration = tracks[0].buffer.duration;
    this.offset = 0;
    this.current = 0;
    this.equal = tracks.length > 1;
    this.sources = [];
  }

  get playing() { return this.sources.length > 0; }

  get position() {
    const run = this.playing ? this.context.currentTime - this.begun : 0;
    return clamp(this.offset + run, 0, this.duration);
  }

  gain(number) {
    if (number !== this.current) return 0;
    const { gain, plain } = this.tracks[number];
    return this.equal ? gain : plain;
  }

  play() {
    this.context ??= new AudioContext();
    this.context.resume();
    if (this.offset >= this.duration - 0.01) this.offset = 0;
    this.begun = this.context.currentTime;
    this.sources = this.tracks.map(({ buffer }, number) => {
      const source = new AudioBufferSourceNode(this.context, { buffer });
      const gain = new GainNode(this.context, { gain: this.gain(number) });
      source.connect(gain).connect(this.context.destination);
      source.start(0, this.offset);
      return { source, gain };
    });
  }

  pause() {
    this.offset = this.position;
    this.sources.forEach(({ source }) => source.stop());
    this.sources = [];
  }

  seek(seconds) {
    const playing = this.playing;
    if (playing) this.pause();
    this.offset = clamp(seconds, 0, this.duration);
    if (playing) this.play();
  }

  set(change) { // faded within milliseconds, so that nothing clicks
    Object.assign(this, change);
    this.sources.forEach(({ gain }, number) =>
      gain.gain.setTargetAtTime(this.gain(number), this.context.currentTime, 0.005));
  }
}
