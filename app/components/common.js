// Stands before the code of every component: `$` finds parts of it, `fetchFile` turns an answer of the server into a file.
const $ = (selector) => element.querySelector(selector);

function download({ name, data, type }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function fetchFile(button, call) {
  button.disabled = true;
  $(".status").textContent = "Preparing the file…";
  try {
    const answer = await call();
    if (!answer) throw new Error("The server does not answer. Try again.");
    if (answer.error) throw new Error(answer.error);
    download(answer);
    $(".status").textContent = `Saved ${answer.name}`;
  } catch (error) {
    $(".status").textContent = error.message || "The download failed. Try again.";
  } finally {
    button.disabled = false;
  }
}
