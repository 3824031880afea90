"""Say where the native engine finds each tensor in the weights file, and prove that it is right."""
