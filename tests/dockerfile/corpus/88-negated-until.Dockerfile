FROM debian:12-slim
RUN until apt-get install -y nginx=1.22.1-9; do sleep 1; done; if ! apt-get install -y curl=7.88.1-10; then exit 1; fi
