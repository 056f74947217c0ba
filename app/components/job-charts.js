// What the view of a job shows in figures: how long it takes, how it goes, and two lines over the images seen.
function left(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

// What an ended job can go on for: what it lacks of its limits, or else minutes that are asked for.
function more(job) {
  $(".more").hidden = !job.can_resume;
  const rest = job.minutes_left; // null where it has come to its end
  $(".minutes").value = rest === null ? "15" : "";
  const minutes = rest === null ? 0 : Number(rest.toFixed(rest < 10 ? 1 : 0));
  const were = minutes === 1 ? "minute that was" : "minutes that were";
  const images = job.most_images ? `, up to ${whole(job.most_images)} images` : "";
  const words = `Goes on with the ${whole(minutes)} ${were} left${images}. To change that, give minutes.`;
  text(".rest", rest === null ? "" : words);
}

function verdict(job) {
  $(".verdict").hidden = !job.verdict;
  if (!job.verdict) return;
  const { state, reason, advice } = job.verdict;
  text(".verdict h4", state.charAt(0).toUpperCase() + state.slice(1));
  text(".why", reason || "");
  text(".todo", advice || "");
}

// Two lines over the images seen; `together` on one scale, or else each on its own.
function chart(selector, names, points, together) {
  $(selector).hidden = points.length < 2;
  if (points.length < 2) return;
  const known = (column) => points.map((point) => point[column]).filter((value) => Number.isFinite(value));
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  const paths = [1, 2].map((column) => {
    const values = together ? [...known(1), ...known(2)] : known(column);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const line = points.filter((point) => Number.isFinite(point[column])).map((point) => {
      const x = ((point[0] - first) / (last - first || 1)) * 300;
      return `${x.toFixed(1)} ${(85 - ((point[column] - least) / (most - least || 1)) * 80).toFixed(1)}`;
    });
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", line.length ? `M${line.join("L")}` : "");
    path.setAttribute("class", column === 1 ? "first" : "second");
    return path;
  });
  $(`${selector} svg`).replaceChildren(...paths);
  const now = [1, 2].map((column) => `${names[column - 1]} ${known(column).at(-1)?.toFixed(3) ?? "unknown"}`);
  $(`${selector} svg`).setAttribute("aria-label", `${now.join(", ")}, after ${whole(last)} images`);
  const legend = now.map((words, place) => {
    const entry = Object.assign(document.createElement("span"), { className: "entry" });
    entry.append(Object.assign(document.createElement("span"), { className: place ? "key second" : "key" }), words);
    return entry;
  });
  $(`${selector} figcaption`).replaceChildren(...legend);
}
