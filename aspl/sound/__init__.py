"""Bytes -> waveform at 48 kHz -> windows of 10 s -> log-mel."""
