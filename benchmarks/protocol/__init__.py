"""The published few-shot protocol on its eleven sets: `python -m benchmarks.protocol ROOT`; see docs/protocol.md."""
