"""A head as a model folder that travels: for the Hugging Face hub, and as one ONNX file."""
