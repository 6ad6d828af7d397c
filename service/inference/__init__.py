"""From uploaded bytes to scores: decoding, batching, the model's thread, adapters in memory. Knows nothing of HTTP."""
