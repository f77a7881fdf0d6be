FROM debian:12-slim
RUN aptitude install -y nginx=1.22.1-9
