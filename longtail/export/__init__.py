"""A trained run as ONNX and safetensors."""
