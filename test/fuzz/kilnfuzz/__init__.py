"""Random ONNX models, run through Kiln in many ways that must agree. docs/testing.md says how to use it."""
