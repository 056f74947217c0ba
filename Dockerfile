FROM python:3.12-slim

# torch's CPU build keeps the image small; everything else comes from requirements.txt.
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt \
    && useradd --uid 1000 --create-home ganime \
    && mkdir -p /data/ganime && chown 1000 /data/ganime

COPY --chown=1000 app app
COPY --chown=1000 ganime ganime
COPY --chown=1000 weights weights

USER 1000
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    PYTHONUNBUFFERED=1
EXPOSE 7860
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", \
        "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'], timeout=4)"]
# As process 1, Python heeds SIGINT but not SIGTERM: without this, stopping takes ten seconds and ends in a kill.
STOPSIGNAL SIGINT
CMD ["python", "-m", "app"]
