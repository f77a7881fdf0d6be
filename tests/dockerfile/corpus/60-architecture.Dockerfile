FROM debian:12-slim
RUN dpkg --add-architecture i386 && apt-get install -y libc6:i386=2.36-9 wine32:i386
