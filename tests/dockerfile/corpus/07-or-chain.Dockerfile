FROM debian:12-slim
RUN apt-get update || (sleep 3 && apt-get update); apt-get install -y nginx=1.22.1-9 || exit 1
