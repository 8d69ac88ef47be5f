// Copies a command, or marks it where a page may not.
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const text = element.querySelector("textarea");
  text.select();
  if (!navigator.clipboard) return;
  await navigator.clipboard.writeText(text.value);
  button.textContent = "Copied";
});
