// The Interpolate tab.
export function mount() {}
