FROM debian:12-slim
ENV A=1 \
    # the server
    NGINX_VERSION=1.22.1-9 \
    B=2
RUN apt-get install -y nginx=${NGINX_VERSION}
