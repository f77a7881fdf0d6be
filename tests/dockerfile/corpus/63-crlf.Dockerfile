FROM debian:12
ARG V=1.22.1-9
RUN apt-get update && \
    apt-get install -y nginx=$V \
    curl=7.88.1-10
