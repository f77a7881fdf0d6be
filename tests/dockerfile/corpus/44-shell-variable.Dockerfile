FROM debian:12-slim
RUN set -eux; \
  export NGINX=1.22.1-9; \
  apt-get install -y nginx=$NGINX
