FROM debian:12-slim
RUN eatmydata apt-get install -y nginx=1.22.1-9; /usr/bin/apt-get install -y curl=7.88.1-10
