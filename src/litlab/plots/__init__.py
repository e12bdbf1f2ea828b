"""Pictures: arrays in, a matplotlib Figure out; no window, no global state, matplotlib imported when one is drawn."""
