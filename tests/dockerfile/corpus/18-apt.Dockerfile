FROM debian:12-slim
RUN apt update && apt install -y nginx=1.22.1-9
