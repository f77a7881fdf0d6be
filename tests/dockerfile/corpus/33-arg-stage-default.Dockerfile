ARG V=1.0
FROM debian:12
ARG V=1.22.1-9
RUN apt-get install -y nginx=$V
