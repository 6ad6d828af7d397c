"""Clips and labels -> candidates on held-out clips -> the adapter, with a report of how it did."""
