FROM debian:12-slim
COPY <<EOF /install.sh
apt-get install nginx=1
EOF
RUN apt-get install -y curl=7.88.1-10
