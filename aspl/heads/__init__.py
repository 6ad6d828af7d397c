"""What turns features into scores."""
