FROM debian:12-slim
ENV V=1.22.1-9
ARG V=1
RUN apt-get install -y nginx=$V
