ARG V=1.22.1
FROM debian:12-slim
ARG V
ENV NGINX_VERSION=${V}-9
RUN apt-get install -y nginx=${NGINX_VERSION}
