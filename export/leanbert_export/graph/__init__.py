"""Trace PyTorch to an ONNX graph, and bring the graph into its final fp32 form."""
