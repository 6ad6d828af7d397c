"""`make run`: a private Redis, a worker and the API on one machine, and what ends them together."""
