FROM debian:12-slim
LABEL who="café"
RUN echo 'ÿ' && apt-get install -y nginx=1.22.1-9 # Ã¼
