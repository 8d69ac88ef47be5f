// Tells the page where on the map of voices somebody clicked, as shares of its width and height.
element.addEventListener("click", (event) => {
  const map = element.querySelector("svg.voices");
  if (!map || !map.contains(event.target)) return;
  const box = map.getBoundingClientRect();
  trigger("click", { x: (event.clientX - box.left) / box.width,
                     y: (event.clientY - box.top) / box.height });
});
