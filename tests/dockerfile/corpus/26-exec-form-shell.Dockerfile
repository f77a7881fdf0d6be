FROM debian:12-slim
ENV V=1.22.1-9
RUN ["/bin/bash", "-c", "apt-get install -y \"nginx=$V\" curl=7.88.1-10"]
