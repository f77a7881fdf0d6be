FROM debian:12-slim
ENV V=1.22.1-9
RUN bash -ex <<'EOF'
  apt-get install -y nginx=${V}
EOF
