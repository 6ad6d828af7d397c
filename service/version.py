"""The release: what `/info` and `/docs` say, and what pyproject.toml reads, so that a clone knows it too."""

VERSION = "0.3.0"
