"""Turn the matmuls of the final fp32 graph into int8, guided by calibration texts."""
