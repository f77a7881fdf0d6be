FROM debian:12-slim
RUN apt-get update && apt-get install -y nginx=1.22.1-9+deb12u9 nginx-common=1.22.1-9+deb12u9
CMD ["/app/run"]
