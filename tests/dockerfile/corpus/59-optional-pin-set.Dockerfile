FROM debian:12-slim
ARG V=1.22.1-9
RUN apt-get install -y nginx${V:+=$V}
