"""Tell the native engine where each tensor lies in the weights file, and prove that it is right."""
