FROM debian:12 AS base
ARG A=1.22.1-9
ENV B=7.88.1-10
FROM base
RUN apt-get install -y nginx=$A curl=$B
