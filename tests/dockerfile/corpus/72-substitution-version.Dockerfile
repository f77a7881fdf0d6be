FROM debian:12-slim
RUN apt-get install -y nginx=$(cat /version) linux-headers-$(uname -r) curl
