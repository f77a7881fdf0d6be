FROM debian:12-slim
RUN get() { apt-get install -y --no-install-recommends "$@"; }; get nginx=1.22.1-9 curl
