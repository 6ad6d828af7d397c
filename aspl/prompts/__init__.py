"""What is trained around the frozen model: prompts on its audio side and on its text side."""
