FROM debian:12-slim
RUN sudo bash -o pipefail -ec 'apt-get install -y nginx=1.22.1-9 | tee /log'
