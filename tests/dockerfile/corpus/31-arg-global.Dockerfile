ARG V=1.22.1-9
FROM debian:12 AS one
ARG V
RUN apt-get install -y nginx=$V
FROM debian:12
ARG V
RUN apt-get install -y nginx=$V nginx-common=$V
