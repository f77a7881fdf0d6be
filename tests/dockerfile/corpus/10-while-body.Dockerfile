FROM debian:12-slim
RUN n=0; while [ $n -lt 3 ]; do apt-get install -y nginx=1.22.1-9 && break; n=$((n+1)); done
