FROM debian:12-slim
ARG NGINX_VERSION="1.22.1-9"
RUN apt-get install -y "nginx=$NGINX_VERSION"
