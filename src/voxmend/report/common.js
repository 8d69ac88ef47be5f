"use strict";
// One time axis: `view` is what of the recording is shown, `player` what of it is heard.

const DATA = JSON.parse(document.getElementById("data").textContent);
const KINDS = { clipping: "clipped", gaps: "gap", ends: "missing", clicks: "click" };

const $ = id => document.getElementById(id);
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

function clock(seconds, digits = 2) { // as in 1:02.50
  const rounded = Number(seconds.toFixed(digits)), minutes = Math.floor(rounded / 60);
  return `${minutes}:${(rounded - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
