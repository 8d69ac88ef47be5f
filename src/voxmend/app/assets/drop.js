// Sends a file that is dropped, chosen or recorded, and tells the page its secret.
const zone = element.querySelector(".drop");
const input = element.querySelector("input[type=file]");
const record = element.querySelector(".record");
const said = element.querySelector(".said");
let recorder = null, sending = null, sent = null;

function send(file, name) {
  const megabytes = file.size / 1e6;
  if (megabytes > props.most) {
    say(`${name}: larger than the ${props.most} MB that are taken here`, true);
    return;
  }
  sending?.abort(); // the last one counts
  const request = sending = new XMLHttpRequest();
  request.open("POST", "upload?name=" + encodeURIComponent(name));
  request.upload.onprogress = (event) => {
    if (event.lengthComputable) say(`Sending ${name}: ${Math.round(100 * event.loaded / event.total)} %`);
  };
  request.onerror = () => say(`${name}: could not be sent; is the server there?`, true);
  request.onload = () => {
    if (request.status !== 200) { say(request.responseText || request.statusText, true); return; }
    say(name);
    trigger("upload", { secret: request.responseText, before: sent });
    sent = request.responseText;
  };
  request.send(file);
}

function say(text, bad = false) {
  said.textContent = text;
  said.classList.toggle("error", bad);
}

async function startRecording() {
  if (!navigator.mediaDevices || !window.MediaRecorder) {
    say("No microphone here: browsers allow it on https:// and localhost only", true);
    return;
  }
  let stream;
  try {  // as it is: what a browser does to voices is damage as well
    stream = await navigator.mediaDevices.getUserMedia({ audio: {
      echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch (error) {
    say(`The microphone cannot be used (${error.name})`, true);
    return;
  }
  const pieces = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => pieces.push(event.data);
  recorder.onstop = () => {
    stream.getTracks().forEach((track) => track.stop());
    const type = recorder.mimeType;
    recorder = null;
    mark(false);
    send(new Blob(pieces, { type }), type.includes("mp4") ? "microphone.m4a" : "microphone.webm");
  };
  recorder.start();
  mark(true);
  say("Recording");
}

function mark(on) {
  record.setAttribute("aria-pressed", on);
  record.textContent = on ? "Stop recording" : "Record from the microphone";
}

input.addEventListener("change", () => {
  if (input.files.length) send(input.files[0], input.files[0].name);
  input.value = "";
});
record.addEventListener("click", () => (recorder ? recorder.stop() : startRecording()));
for (const kind of ["dragenter", "dragover"])
  zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
for (const kind of ["dragleave", "drop"])
  zone.addEventListener(kind, () => zone.classList.remove("over"));
zone.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) send(file, file.name);
});
