FROM debian:12-slim
RUN apt-get -y --no-install-recommends install nginx=1.22.1-9 && apt-get -qqy -o Dpkg::Use-Pty=0 install curl=7.88.1-10
