ARG V=1.22.1-9
FROM scratch
RUN apt-get install -y nginx$V
