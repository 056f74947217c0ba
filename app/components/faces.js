// What uploaded faces are, before anything is trained on them; names of files come from strangers and stay text.
// props.value = {sheet, rows: [[what, how many]], unread: [{name, reason}], more, advice} or {error} or {}
function make(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function draw() {
  const value = props.value || {};
  $(".alert").textContent = value.error || "";
  $(".audit").hidden = !value.sheet;
  if (!value.sheet) return;
  $(".contact").src = value.sheet;
  $(".counts").replaceChildren(...value.rows.flatMap(([what, count]) => [make("dt", what), make("dd", count)]));
  $(".advice").replaceChildren(...value.advice.map((text) => make("li", text)));
  $(".unread").hidden = !value.unread.length;
  $(".unread summary").textContent = `Files that are not used: ${value.unread.length + value.more}`;
  const files = value.unread.map(({ name, reason }) => make("li", `${name}: ${reason}`));
  if (value.more) files.push(make("li", `and ${value.more} more`));
  $(".unread ul").replaceChildren(...files);
}

watch("value", draw);
draw();
