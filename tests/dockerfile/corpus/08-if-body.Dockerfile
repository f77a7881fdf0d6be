FROM debian:12-slim
RUN if [ "$(uname -m)" = x86_64 ]; then \
      apt-get install -y nginx=1.22.1-9; \
    else \
      apt-get install -y lighttpd=1.4.69-1; \
    fi
