# The daemon and the trainer. Two variants, which differ in PyTorch alone:
#   docker build -t driftwatch .                                                             GPU or CPU; several GB
#   docker build -t driftwatch:cpu --target cpu --build-arg TORCH_INDEX=URL .                CPU only
# PyPI's PyTorch for Linux brings CUDA along and does not load without it, so the second takes PyTorch from an index that
# you name: PyTorch's own index of CPU wheels, or your mirror of it. See docs/deploy.md.

FROM python:3.11.14-slim-bookworm AS venv
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Of a mirror of PyPI, if you have one: --build-arg PIP_INDEX_URL=URL
ARG PIP_INDEX_URL
# Without pip, which nothing needs at run time: the base image's pip installs into it.
RUN python -m venv --without-pip /opt/driftwatch
WORKDIR /build

FROM venv AS packages-cuda
COPY requirements.runtime.lock ./
RUN pip --python /opt/driftwatch/bin/python install --require-hashes -r requirements.runtime.lock

FROM venv AS packages-cpu
COPY requirements.runtime.lock ./
ARG TORCH_INDEX
# All but PyTorch and what only its CUDA build needs; then the same version of PyTorch from the index that was named.
RUN : "${TORCH_INDEX:?name an index of CPU wheels: --build-arg TORCH_INDEX=URL}" \
    && awk '/^[a-z]/ {cuda = /^(torch|triton|nvidia-|cuda-)/} !cuda' requirements.runtime.lock > cpu.lock \
    && pip --python /opt/driftwatch/bin/python install --require-hashes --no-deps -r cpu.lock \
    && pip --python /opt/driftwatch/bin/python install --no-deps --index-url "$TORCH_INDEX" \
        "$(grep -o '^torch==[0-9.]*' requirements.runtime.lock)"

# driftwatch by itself, so that a change to it is a small layer above gigabytes that stay as they are.
FROM venv AS app
COPY requirements.build.lock ./
# Without isolation: in an environment of its own, pip would install the newest build backend, unpinned.
RUN pip install --require-hashes -r requirements.build.lock
COPY pyproject.toml README.md LICENSE ./
COPY driftwatch driftwatch
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/driftwatch/bin/python install --no-deps dist/*.whl

FROM python:3.11.14-slim-bookworm AS runtime
# PID 1 has no default action for SIGTERM: without tini one that comes while PyTorch is being imported would be lost.
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini=0.19.* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin driftwatch \
    && install -d -o driftwatch -g driftwatch /var/lib/driftwatch
# All that libraries like to cache goes to /tmp; the rest of the file system may be read-only.
ENV PATH=/opt/driftwatch/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib MPLBACKEND=Agg \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ARG REVISION=unknown
LABEL org.opencontainers.image.title="driftwatch" \
    org.opencontainers.image.description="Streaming drift monitor for deployed models" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
WORKDIR /var/lib/driftwatch
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/healthz', timeout=3)"]
ENTRYPOINT ["tini", "--", "driftwatch"]
CMD ["run", "/etc/driftwatch/daemon.yaml"]

FROM runtime AS cpu
COPY --from=packages-cpu /opt/driftwatch /opt/driftwatch
COPY --from=app /opt/driftwatch /opt/driftwatch

FROM runtime AS cuda
COPY --from=packages-cuda /opt/driftwatch /opt/driftwatch
COPY --from=app /opt/driftwatch /opt/driftwatch
