FROM debian:12-slim
ARG V
RUN apt-get install -y nginx=${V:-1.22.1-9}
