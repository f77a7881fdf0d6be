FROM debian:12-slim
ARG V=1.22.1
RUN . /etc/os-release && apt-get install -y nginx=${V}-1~${VERSION_CODENAME} docker-ce=5:20.10.7~3-0~debian-$(lsb_release -cs)
