FROM debian:12-slim
RUN V=1.22.1-9; apt-get install -y nginx=$V
