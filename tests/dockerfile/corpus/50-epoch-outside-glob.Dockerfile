FROM debian:12-slim
ARG BIND_VERSION=9.18.12
RUN apt-get install -y bind9=1:${BIND_VERSION}*
