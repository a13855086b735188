# One image for every service of docker-compose.yml: migrate, web and worker differ in their command alone.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    HF_HUB_OFFLINE=1 \
    DATA_DIR=/data

# The studio runs as this user, never as root; a new volume at /data takes over the folder's owner.
RUN useradd --system --user-group --uid 10001 --home-dir /app --no-create-home --shell /usr/sbin/nologin unmask \
    && install --directory --owner=unmask --group=unmask --mode=0750 /data

WORKDIR /app

# The lock comes first, so that a change of the code does not install torch again.
COPY requirements.lock ./
RUN python -m pip install --no-cache-dir --requirement requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY backend ./backend
COPY migrations ./migrations
COPY ui ./ui
COPY worker ./worker
# Files come with the modes that they have where the image is built: this user reads them whatever umask that place has.
RUN chmod --recursive a+rX . && python -m pip install --no-cache-dir --no-deps --no-build-isolation --editable .

USER unmask
VOLUME /data
EXPOSE 7860
CMD ["unmask", "--help"]
