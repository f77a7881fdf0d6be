FROM alpine
RUN apk add --no-cache nginx=1.2
FROM fedora
RUN dnf install -y nginx-1.2 && yum install x
