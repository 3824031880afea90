"""Hold a bundle against PyTorch fp32: the comparison, the gate, and the golden answers."""
