"""What weights of 4 bits would cost in fidelity and save in time and bytes: a study, no recipe."""
