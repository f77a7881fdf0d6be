FROM debian:12-slim
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN pk=(nginx=1.22.1-9 "curl=7.88.1-10"); pk+=(make); apt-get install -y "${pk[@]}"
