FROM debian:12-slim
RUN apt-get install -y nginx=$NGINX_VERSION curl=7.88.1-10
