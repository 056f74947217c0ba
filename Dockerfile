# The packages, by their locked hashes; torch from PyTorch's own index. --build-arg TORCH=cu126 takes a CUDA build, and
# --build-arg INDEX=https://... another index.
FROM python:3.12-slim AS packages
ARG TORCH=cpu
ARG INDEX=https://download.pytorch.org/whl/${TORCH}
WORKDIR /packages
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
COPY container/requirements.lock .
RUN pip install --require-hashes --no-deps -r requirements.lock \
    && pip install --index-url "${INDEX}" torch==2.13.0

# ONNX Runtime, with which visitors' browsers draw.
FROM node:22-slim AS browsers
WORKDIR /browsers
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.12-slim
WORKDIR /app
RUN useradd --uid 1000 --create-home ganime && mkdir -p /data/ganime && chown 1000 /data/ganime
COPY --from=packages /venv /venv
COPY --from=browsers /browsers/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs \
    /browsers/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm \
    node_modules/onnxruntime-web/dist/
COPY app app
COPY ganime ganime
COPY weights weights
COPY LICENSE .

USER 1000
ENV PATH=/venv/bin:$PATH \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    HF_HOME=/data/ganime/huggingface \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 7860
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", \
        "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'], timeout=4)"]
# While it starts, Python as process 1 heeds SIGINT but not SIGTERM; then the page saves its jobs at either.
STOPSIGNAL SIGINT
CMD ["python", "-m", "app"]
