FROM debian:12-slim
RUN <<EOF
set -e
apt-get update
apt-get install -y nginx=1.22.1-9
EOF
