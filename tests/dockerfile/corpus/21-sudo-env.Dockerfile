FROM debian:12-slim
RUN sudo -E env DEBIAN_FRONTEND=noninteractive apt-get install -y nginx=1.22.1-9; DEBIAN_FRONTEND=noninteractive apt-get install -y curl=7.88.1-10
