FROM debian:12-slim
ARG V
RUN apt-get install -y nginx${V:+=$V} curl
