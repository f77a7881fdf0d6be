FROM debian:12-slim
ENV V=1.22.1-9+dfsg
RUN apt-get install -y nginx=${V%+*}
