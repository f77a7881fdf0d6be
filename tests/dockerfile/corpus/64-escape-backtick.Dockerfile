# escape=`
FROM debian:12
RUN apt-get update && `
    apt-get install -y nginx=1.22.1-9
