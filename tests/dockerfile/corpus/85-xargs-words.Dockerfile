FROM debian:12-slim
RUN echo "nginx=1.22.1-9 curl=7.88.1-10" | xargs apt-get install -y; xargs apt-get install -y <<< 'make=4.3'
