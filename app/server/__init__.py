"""The server around Gradio: limits on requests, and the upload endpoint."""
