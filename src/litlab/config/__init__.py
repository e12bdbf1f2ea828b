"""Settings before anything is built: what a class takes, and whether a request holds."""
