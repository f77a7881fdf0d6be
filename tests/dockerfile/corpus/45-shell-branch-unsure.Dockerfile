FROM debian:12-slim
RUN case $(arch) in x86_64) V=1;; *) V=2;; esac; apt-get install -y nginx=$V curl=7.88.1-10
