FROM debian:12-slim
ENV V=1
SHELL ["/usr/bin/env", "bash", "-c"]
RUN ["apt-get", "install", "nginx=$V"]
RUN apt-get install -y curl=7.88.1-10
