FROM debian:12-slim
ARG A=1.22.1-9 B=7.88.1-10
RUN apt-get install -y nginx=$A curl=$B
