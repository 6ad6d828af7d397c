"""Checkpoints -> the frozen CLAP, its stages in the open."""
