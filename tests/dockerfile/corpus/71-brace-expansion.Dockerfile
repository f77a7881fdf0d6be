FROM debian:12-slim
SHELL ["/bin/bash", "-c"]
RUN apt-get install -y php8.2-{cli,fpm}=8.2.1-1
