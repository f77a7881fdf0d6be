FROM debian:12-slim
RUN apt-get install -y 'nginx=1.22.1-9'
