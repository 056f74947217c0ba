// Starts the page, or says why it cannot run. A plain script, so that browsers of any age understand what it says.
/* eslint no-var: "off" */
(function start() {
  var words = document.querySelector(".loading-words");
  // The smallest program with an instruction for four numbers at once.
  var simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0,
    10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

  function stop(text) {
    words.textContent = text;
    words.setAttribute("role", "alert");
    document.querySelector(".loading-bar").hidden = true;
  }

  function lacks() {
    if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(simd))) return "WebAssembly with SIMD";
    if (typeof Worker !== "function") return "workers";
    if (typeof DecompressionStream !== "function") return "DecompressionStream";
    if (typeof createImageBitmap !== "function") return "createImageBitmap";
    return window.CSS && CSS.supports && CSS.supports("selector(&)") ? "" : "nested style sheets";
  }

  function fail(error) {
    console.error(error);
    stop("The page could not be started: " + (error && error.message ? error.message : "reload it."));
  }

  if (location.protocol === "file:") {
    stop("Browsers run this page only from a web server. In its folder, run: python -m http.server");
    return;
  }
  var missing = lacks();
  if (missing) {
    stop("This browser cannot draw faces: it lacks " + missing + ". "
      + "Use Chrome, Edge, Firefox or Safari of 2024 or later.");
    return;
  }
  words.textContent = "Loading…";
  fetch("model.json", { cache: "no-cache" })
    .then(function read(answer) {
      if (!answer.ok) throw new Error("model.json is missing.");
      return answer.json();
    })
    .then(function load(about) {
      return import(new URL(about.files.page.path, document.baseURI).href).then(function begin(file) {
        return file.default["static/host.js"].start(file.default, about);
      });
    })
    .catch(fail);
}());
