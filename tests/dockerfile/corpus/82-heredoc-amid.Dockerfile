FROM debian:12-slim
RUN cat <<'A' > /a && apt-get install -y nginx=1.22.1-9 && bash <<B
apt-get install no=1
A
apt-get install -y curl=7.88.1-10
B
