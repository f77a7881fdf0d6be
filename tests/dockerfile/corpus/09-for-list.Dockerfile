FROM debian:12-slim
RUN for p in nginx=1.22.1-9 curl=7.88.1-10; do apt-get install -y $p; done
