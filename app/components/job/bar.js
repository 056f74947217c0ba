// The bar of a job: full by a share, or moving while the share is unknown.
import { reducedMotion } from "../shared/motion.js";

const MOVING = [{ left: "-30%" }, { left: "100%" }];

/** Creates the bar. Returns show(share): 0 to 1, or null. The style sheet of a component cannot hold @keyframes. */
export function createBar(bar) {
  const inner = bar.querySelector("span");
  let motion = null;

  function move(on) {
    bar.classList.toggle("moving", on);
    if (on && !motion && !reducedMotion.matches) {
      motion = inner.animate(MOVING, { duration: 1600, easing: "ease-in-out", iterations: Infinity });
    } else if (!on) {
      motion?.cancel();
      motion = null;
    }
  }

  return (share) => {
    const known = share !== null;
    move(!known);
    if (known) bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    else bar.removeAttribute("aria-valuenow");
    inner.style.width = known ? `${Math.min(100, share * 100)}%` : "";
  };
}
