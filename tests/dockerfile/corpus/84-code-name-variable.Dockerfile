FROM debian:12-slim
ARG V=1.22.1
RUN . /etc/os-release && apt-get install -y nginx=${V}-1~${VERSION_CODENAME}
