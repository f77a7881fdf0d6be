FROM debian:12-slim
ARG V=1.22.1-9
RUN sh -c "apt-get install -y nginx=$V curl='7.88.1-10'"
