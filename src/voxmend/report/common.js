"use strict";
// One time axis: `view` is what of the recording is shown, `player` what of it is heard.

const DATA = JSON.parse(document.getElementById("data").textContent);
const KINDS = { clipping: "clipped", gaps: "gap", ends: "missing", clicks: "click" };

const $ = id => document.getElementById(id);
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
