FROM debian:12-slim
COPY list /list
RUN xargs -a /list apt-get install -y && grep -v '#' /list | xargs apt-get install -y && echo nginx=1.22.1-9 | xargs apt-get install -y
