# The daemon and the trainer in one image. Build: docker build -t driftwatch .
# PyTorch's wheels bring CUDA along: the same image runs on CPU and on GPU (docker run --gpus all).

FROM python:3.11.13-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE requirements.lock ./
RUN python -m venv /opt/driftwatch \
    && /opt/driftwatch/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY driftwatch driftwatch
RUN /opt/driftwatch/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11.13-slim-bookworm
RUN useradd --uid 10001 --create-home driftwatch
COPY --from=build /opt/driftwatch /opt/driftwatch
ENV PATH=/opt/driftwatch/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/driftwatch
EXPOSE 9464
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/healthz', timeout=3)"]
ENTRYPOINT ["driftwatch"]
CMD ["run", "/etc/driftwatch/daemon.yaml"]
