FROM debian:12-slim
COPY retry /usr/bin/
RUN retry 3 apt-get install -y nginx=1.22.1-9; timeout 60 apt-get install -y curl=7.88.1-10
