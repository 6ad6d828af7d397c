"""How the bundled CLAP was made: procedural sounds with captions, their training, export and evaluation."""
