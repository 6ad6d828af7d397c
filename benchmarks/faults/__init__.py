"""What strangers, broken files and dying processes do to a running stack: `python -m benchmarks.faults`."""
