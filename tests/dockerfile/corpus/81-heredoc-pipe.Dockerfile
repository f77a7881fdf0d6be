FROM debian:12-slim
ENV V=1.22.1-9
RUN cat <<EOF | bash -e
apt-get install -y nginx=$V \$MORE
EOF
RUN xargs apt-get install -y <<L
curl=7.88.1-10
make
L
