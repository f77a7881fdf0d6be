FROM debian:12-slim
RUN set -eux; apt-get update; apt-get install -y nginx=1.22.1-9; rm -rf /var/lib/apt/lists/*
