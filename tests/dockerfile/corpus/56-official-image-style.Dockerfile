FROM debian:12-slim
ENV NGINX_VERSION   1.22.1
ENV NJS_VERSION     0.7.9
ENV PKG_RELEASE     1~bookworm
RUN set -x \
    && nginxPackages=" \
        nginx=${NGINX_VERSION}-${PKG_RELEASE} \
        nginx-module-njs=${NGINX_VERSION}+${NJS_VERSION}-${PKG_RELEASE} \
    " \
    && apt-get install --no-install-recommends --no-install-suggests -y $nginxPackages gettext-base
