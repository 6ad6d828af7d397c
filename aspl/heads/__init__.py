"""What turns the features of a sound into scores, one file a kind; `aspl.methods` says which method has which."""
