"""What int8 costs the heads beside classification, with weights that mean something."""
