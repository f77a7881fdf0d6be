FROM debian:12-slim
RUN apt-get install -y -t bookworm-backports -o Acquire::Retries=3 --option=A::B=c nginx=1.22.1-9 --target-release x curl/stable
