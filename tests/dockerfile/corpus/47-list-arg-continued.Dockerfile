FROM debian:12-slim
ARG PKGS="\
  nginx=1.22.1-9 \
  # c
  curl=7.88.1-10"
RUN apt-get install -y ${PKGS}
