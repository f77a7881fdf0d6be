FROM debian:12-slim
ARG V
RUN : ${V:=1.22.1-9}; W=${W:-7.88.1-10}; apt-get install -y curl=$W
