FROM debian:12-slim
ARG MAJOR=9
ARG MINOR=18
ARG PATCH=12
RUN apt-get install -y bind9=1:${MAJOR}.${MINOR}.${PATCH}-1
